import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import { beginCall, reportOf, type ApiCall } from '../../calls/api-call.ts';
import { CallerGoneError } from '../../calls/call-errors.ts';
import { streamCall, type StreamCaller } from '../../calls/stream-call.ts';
import { codeOf, NangoError } from '../../errors/nango-error.ts';
import { toNangoError } from '../../upstream/http-client.ts';
import { errorResponse } from '../error-mapper.ts';
import { requestIdOf } from '../request-id.ts';
import type { ServerContext } from '../server-context.ts';
import { Exchange, type ExchangeOptions, type Forwarded } from './proxy-exchange.ts';
import { parseProxyRequest } from './proxy-request.ts';

/** Serves a request whose path begins with `/proxy/`. `onUpgrade` takes the API's socket if it becomes a WebSocket. */
export type Proxy = (
  incoming: IncomingMessage,
  response: ServerResponse,
  onUpgrade?: ExchangeOptions['onUpgrade'],
) => void;

type ProxyServer = Pick<
  ServerContext,
  'context' | 'fresh' | 'secretKeys' | 'limits' | 'followUps' | 'client' | 'report'
>;

// Without a limit, a caller who neither sends nor reads would occupy a place among the requests in flight for ever.
const CALLER_IDLE_MS = 60_000;

/**
 * Returns the proxy. It forwards requests to a connection's API, with credentials, and the API's responses back, byte
 * by byte. It runs before the router and does no work beyond forwarding the bytes.
 */
export function createProxy(server: ProxyServer): Proxy {
  return (incoming, response, onUpgrade) => void serve(incoming, { response, onUpgrade }, server);
}

type Responding = Pick<ExchangeOptions, 'response' | 'onUpgrade'>;

/** Serves a request and reports it. Never rejects. */
async function serve(incoming: IncomingMessage, responding: Responding, server: ProxyServer): Promise<void> {
  const requestId = requestIdOf(incoming.headers);
  const call = beginCall({ via: 'proxy', requestId, method: incoming.method ?? '' });
  try {
    call.caller = server.secretKeys.check(incoming.headers.authorization, { scope: 'proxy', from: incoming });
    parseProxyRequest(incoming, call);
    const { status, bytes, respondedAt } = await streamCall(call, callerOf(incoming, responding, call), server);
    server.report(reportOf(call, { status, receivedBytes: bytes, respondedAt }));
  } catch (error) {
    const { response } = responding;
    try {
      sendError(toCallError(error, call), { call, requestId, response, server });
    } catch (err) {
      server.context.log.error({ err, requestId }, 'the proxy could not send an error');
      response.destroy();
    }
  }
}

/** Returns the caller's side of a call: where its body comes from and its response goes to. */
function callerOf(
  incoming: IncomingMessage,
  { response, onUpgrade }: Responding,
  call: ApiCall,
): StreamCaller<Forwarded> {
  const { requestId = '' } = call;
  return {
    incoming,
    idleMs: CALLER_IDLE_MS,
    wantsUpgrade: onUpgrade !== undefined,
    // The caller is told to send the body only now (RFC 9110 §10.1.1). So a caller without permission does not send it.
    onBody: () => {
      if (incoming.headers.expect !== undefined) response.writeContinue();
    },
    receive: (isReplaced, endsAt) =>
      new Exchange({
        response,
        isReplaced,
        onUpgrade,
        endsAt,
        callerIdleMs: CALLER_IDLE_MS,
        requestId,
        lackedScopes: () => call.lackedScopes,
      }),
  };
}

/** Returns an error as the caller sees it. */
function toCallError(error: unknown, { connection, sentTo }: ApiCall): unknown {
  if (error instanceof CallerGoneError || error instanceof NangoError || !connection || !sentTo) return error;
  const { totalMs, headersMs } = connection.integration.timeouts;
  return toNangoError(error, { origin: sentTo.origin, timeoutMs: totalMs === 0 ? headersMs : totalMs });
}

interface FailedCall {
  readonly call: ApiCall;
  readonly requestId: string;
  readonly response: ServerResponse;
  readonly server: ProxyServer;
}

/** Sends our own error, which the header `nango-error` marks. If a response has begun, it can only be cut off. */
function sendError(error: unknown, { call, requestId, response, server }: FailedCall): void {
  if (error instanceof CallerGoneError || response.headersSent) {
    const isGone = error instanceof CallerGoneError;
    if (!isGone) server.context.log.warn({ err: error, requestId }, 'a response was cut off');
    server.report(reportOf(call, { error: isGone ? 'caller_gone' : codeOf(error) }));
    return void response.destroy();
  }
  const { status, headers, body } = errorResponse(error, requestId);
  server.report(reportOf(call, { error: body.error.type }));
  if (status >= 500) server.context.log.warn({ err: error, requestId }, body.error.message);
  // Nobody reads the rest of the request's body.
  if (!response.req.complete) headers['connection'] = 'close';
  // Without our own reason phrase, Node would use the API's.
  response
    .writeHead(status, STATUS_CODES[status] ?? '', {
      ...headers,
      'content-type': 'application/json',
      'nango-error': body.error.type,
    })
    .end(JSON.stringify(body));
}
