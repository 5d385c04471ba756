import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import { connectionNames, type CallReport } from '../../calls/call-report.ts';
import { connectionSockets } from '../../calls/connection-sockets.ts';
import { beginCall, nextRequest, type ApiCall } from '../../calls/follow-ups.ts';
import type { ConnectionReference } from '../../connections/connection-reference.ts';
import { codeOf, NangoError } from '../../errors/nango-error.ts';
import { toNangoError } from '../../upstream/http-client.ts';
import { errorResponse } from '../error-mapper.ts';
import { requestIdOf } from '../request-id.ts';
import type { ServerContext } from '../server-context.ts';
import { hasBody, takeBody, type ProxyBody } from './proxy-body.ts';
import { CallerGoneError, Exchange, type ExchangeOptions, type Forwarded } from './proxy-exchange.ts';
import { requestHeaders } from './proxy-headers.ts';
import { readReference, parseRetryChoice, PROXY_PATH } from './proxy-request.ts';

/**
 * Serves a request whose path begins with {@link PROXY_PATH}. `onUpgrade` takes the API's socket if it becomes a
 * WebSocket.
 */
export type Proxy = (
  request: IncomingMessage,
  response: ServerResponse,
  onUpgrade?: ExchangeOptions['onUpgrade'],
) => void;

type ProxyServer = Pick<
  ServerContext,
  'context' | 'fresh' | 'secretKeys' | 'limits' | 'followUps' | 'client' | 'report'
>;

// The responses of these methods repeat the request (RFC 9110 §9.3.8).
const REFLECTING_METHODS: ReadonlySet<string> = new Set(['TRACE', 'TRACK']);
const NO_BODY: ProxyBody = {};
// Without a limit, a caller who neither sends nor reads would occupy a place among the requests in flight for ever.
const CALLER_IDLE_MS = 60_000;

/** A request to the proxy, and its state. */
interface Visit {
  readonly request: IncomingMessage;
  readonly requestId: string;
  /** The time at which the request arrived, in `performance.now()` time. */
  readonly started: number;
  caller: string | undefined;
  reference: ConnectionReference | undefined;
  call: ApiCall | undefined;
  sentBytes: number;
}

/**
 * Returns the proxy. It forwards requests to a connection's API, with credentials, and the API's responses back, byte
 * by byte. It runs before the router and does no work beyond forwarding the bytes.
 */
export function createProxy(server: ProxyServer): Proxy {
  return (request, response, onUpgrade) => {
    const visit = {
      request,
      requestId: requestIdOf(request.headers),
      started: performance.now(),
      caller: undefined,
      reference: undefined,
      call: undefined,
      sentBytes: 0,
    };
    void serve(visit, { response, onUpgrade }, server);
  };
}

type Responding = Pick<ExchangeOptions, 'response' | 'onUpgrade'>;

/** Serves a request and reports it. Never rejects. */
async function serve(visit: Visit, responding: Responding, server: ProxyServer): Promise<void> {
  try {
    reportVisit(visit, { server, passed: await forward(visit, responding, server) });
  } catch (error) {
    const { response } = responding;
    try {
      sendError(visit.call ? toCallError(error, visit.call) : error, { visit, response, server });
    } catch (err) {
      server.context.log.error({ err, requestId: visit.requestId }, 'the proxy could not send an error');
      response.destroy();
    }
  }
}

/** Sends the request to the API until a response is final. Forwards that response to the caller. */
async function forward(visit: Visit, { response, onUpgrade }: Responding, server: ProxyServer): Promise<Forwarded> {
  const call = await openCall(visit, server);
  return server.limits.run(call.connection, async () => {
    const { request, started } = visit;
    const { integration, mode } = call.connection;
    const { totalMs } = integration.timeouts;
    const endsAt = totalMs === 0 ? undefined : started + totalMs;
    const signed = mode.sign !== undefined;
    const body = hasBody(request) ? await requestBody(visit, { response, signed, endsAt }) : NO_BODY;
    call.isReplayable = !body.stream;
    for (;;) {
      const passed = await sendOnce(call, body, { visit, response, onUpgrade, endsAt, server });
      if (passed === 'replaced') continue;
      if (body.stream) request.unpipe().resume();
      return passed;
    }
  });
}

/** Checks the caller and finds the connection. */
async function openCall(visit: Visit, { secretKeys, fresh }: ProxyServer): Promise<ApiCall> {
  const { request } = visit;
  visit.caller = secretKeys.check(request.headers.authorization, { scope: 'proxy', from: request });
  const reference = (visit.reference = readReference(request));
  if (REFLECTING_METHODS.has(request.method ?? ''))
    throw new NangoError(
      'invalid_request',
      `The proxy does not forward ${request.method}, because its response would show credentials.`,
    );
  const retry = parseRetryChoice(request);
  // A cached connection is not awaited.
  const connection = fresh.cached(reference) ?? (await fresh.get(reference));
  return (visit.call = beginCall({ connection, method: request.method ?? '', isReplayable: true, retry }));
}

/** Takes the request's body from the caller. */
function requestBody(
  visit: Visit,
  { response, signed, endsAt }: { response: ServerResponse; signed: boolean; endsAt: number | undefined },
): Promise<ProxyBody> {
  // The caller is told to send the body only now (RFC 9110 §10.1.1). So a caller without permission does not send it.
  if (visit.request.headers.expect !== undefined) response.writeContinue();
  const times = { endsAt, callerIdleMs: CALLER_IDLE_MS };
  return takeBody(visit.request, { signed, onBytes: (count) => (visit.sentBytes += count), times });
}

interface Sending extends Responding {
  readonly visit: Visit;
  readonly endsAt: number | undefined;
  readonly server: ProxyServer;
}

/** Sends the request once. Resolves when its response was forwarded, or when another request must follow. */
function sendOnce(
  call: ApiCall,
  body: ProxyBody,
  { visit, response, onUpgrade, endsAt, server }: Sending,
): Promise<Forwarded | 'replaced'> {
  const endpoint = (visit.request.url ?? '').slice(PROXY_PATH.length);
  const received = { endpoint, headers: requestHeaders(visit.request), body: body.bytes };
  const request = nextRequest(call, received, server.context);
  const { method, target, headers } = request;
  call.sentTo = target;
  const exchange = new Exchange({
    response,
    isReplaced: (status, answered) => server.followUps.sendsAgain(call, { status, headers: answered, request }),
    onUpgrade,
    endsAt,
    callerIdleMs: CALLER_IDLE_MS,
    requestId: visit.requestId,
  });
  const { headersMs, idleMs } = call.connection.integration.timeouts;
  server.client.stream(
    {
      ...connectionSockets(call.connection),
      method,
      target,
      headers,
      body: call.keepsBody ? (body.bytes ?? body.stream) : undefined,
      contentLength: body.contentLength,
      headersTimeout: headersMs,
      bodyTimeout: idleMs,
      ...(onUpgrade ? { upgrade: 'websocket', http1: true } : {}),
    },
    exchange,
  );
  return exchange.settled;
}

/** Returns an error as the caller sees it. */
function toCallError(error: unknown, { connection, sentTo }: ApiCall): unknown {
  if (error instanceof CallerGoneError || error instanceof NangoError || !sentTo) return error;
  const { totalMs, headersMs } = connection.integration.timeouts;
  return toNangoError(error, { origin: sentTo.origin, timeoutMs: totalMs === 0 ? headersMs : totalMs });
}

/** Reports a request that ended. */
function reportVisit(
  { request, requestId, started, caller, reference, call, sentBytes }: Visit,
  { server, passed, error }: { server: ProxyServer; passed?: Forwarded; error?: CallReport['error'] },
): void {
  server.report({
    ...connectionNames(reference, call?.connection),
    via: 'proxy',
    caller,
    requestId,
    method: request.method ?? '',
    status: passed?.status,
    error,
    ms: Math.round(performance.now() - started),
    firstByteMs: passed && Math.round(passed.respondedAt - started),
    sentBytes,
    receivedBytes: passed?.bytes ?? 0,
    retries: call?.retries ?? 0,
    refreshes: call?.refreshes ?? 0,
    redirects: call?.redirects ?? 0,
  });
}

/** Sends our own error, which the header `nango-error` marks. If a response has begun, it can only be cut off. */
function sendError(
  error: unknown,
  { visit, response, server }: { visit: Visit; response: ServerResponse; server: ProxyServer },
): void {
  const { request, requestId } = visit;
  if (error instanceof CallerGoneError || response.headersSent) {
    const isGone = error instanceof CallerGoneError;
    if (!isGone) server.context.log.warn({ err: error, requestId }, 'a response was cut off');
    reportVisit(visit, { server, error: isGone ? 'caller_gone' : codeOf(error) });
    return void response.destroy();
  }
  const { status, headers, body } = errorResponse(error, requestId);
  reportVisit(visit, { server, error: body.error.type });
  if (status >= 500) server.context.log.warn({ err: error, requestId }, body.error.message);
  // Nobody reads the rest of the request's body.
  if (!request.complete) headers['connection'] = 'close';
  // Without our own reason phrase, Node would use the API's.
  response
    .writeHead(status, STATUS_CODES[status] ?? '', {
      ...headers,
      'content-type': 'application/json',
      'nango-error': body.error.type,
    })
    .end(JSON.stringify(body));
}
