import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import { authorizeRedirect, authorizeRequest, type AuthorizedRequest } from '../../calls/authorize-request.ts';
import type { CallReport } from '../../calls/call-report.ts';
import { socketOwner, type OpenConnection } from '../../connections/connection-context.ts';
import { beginCall, type ApiCall } from '../../calls/follow-ups.ts';
import type { ConnectionKey } from '../../store/store.ts';
import { NangoError } from '../../errors/nango-error.ts';
import { toNangoError } from '../../upstream/http-client.ts';
import { errorResponse } from '../error-mapper.ts';
import { requestIdOf } from '../request-id.ts';
import type { ServerContext } from '../server-context.ts';
import { hasBody, takeBody, type ProxyBody } from './proxy-body.ts';
import { CallerGoneError, Exchange, type ExchangeOptions, type Passed } from './proxy-exchange.ts';
import { requestHeaders } from './proxy-headers.ts';
import { parseKey, parseRetryChoice, PROXY_PATH } from './proxy-request.ts';

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

// Their responses repeat the request (RFC 9110 §9.3.8).
const REFLECTING_METHODS: ReadonlySet<string> = new Set(['TRACE', 'TRACK']);
const NO_BODY: ProxyBody = {};
// Otherwise a caller who neither sends nor reads would keep a place among the requests in flight for ever.
const CALLER_IDLE_MS = 60_000;

/** A request to the proxy, and its state. */
interface Visit {
  readonly request: IncomingMessage;
  readonly requestId: string;
  /** When it arrived, in `performance.now()` time. */
  readonly started: number;
  caller: string | undefined;
  key: ConnectionKey | undefined;
  call: ApiCall | undefined;
  sentBytes: number;
}

/**
 * Forwards requests to a connection's API, with credentials, and the API's responses back, byte by byte. It runs before
 * the router and does no work beyond forwarding the bytes.
 */
export function createProxy(server: ProxyServer): Proxy {
  return (request, response, onUpgrade) => {
    const visit = {
      request,
      requestId: requestIdOf(request.headers),
      started: performance.now(),
      caller: undefined,
      key: undefined,
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

/** Sends the request to the API until a response is final, and that response to the caller. */
async function forward(visit: Visit, { response, onUpgrade }: Responding, server: ProxyServer): Promise<Passed> {
  const { request } = visit;
  const opened = openCall(visit, server);
  const call = opened instanceof Promise ? await opened : opened;
  const { connection } = call;
  const place = server.limits.enter(connection);
  if (place) await place;
  try {
    const { totalMs } = connection.integration.timeouts;
    const endsAt = totalMs === 0 ? undefined : visit.started + totalMs;
    const signed = connection.mode.sign !== undefined;
    const body = hasBody(request) ? await requestBody(visit, { response, signed, endsAt }) : NO_BODY;
    call.isReplayable = !body.stream;
    for (;;) {
      const passed = await sendOnce(call, body, { visit, response, onUpgrade, endsAt, server });
      if (passed === 'replaced') continue;
      if (body.stream) request.unpipe().resume();
      return passed;
    }
  } finally {
    server.limits.leave(connection);
  }
}

/** Finds the connection. Returns at once if it is cached. */
function openCall(visit: Visit, { secretKeys, fresh }: ProxyServer): ApiCall | Promise<ApiCall> {
  const { request } = visit;
  visit.caller = secretKeys.check(request.headers.authorization, { scope: 'proxy', from: request });
  const key = (visit.key = parseKey(request));
  if (REFLECTING_METHODS.has(request.method ?? ''))
    throw new NangoError('invalid_request', `${request.method} is not proxied: its response would show credentials.`);
  const retry = parseRetryChoice(request);
  const begin = (connection: OpenConnection) =>
    (visit.call = beginCall({ key, connection, method: request.method ?? '', isReplayable: true, retry }));
  const cached = fresh.cached(key);
  return cached ? begin(cached) : fresh.get(key).then(begin);
}

function requestBody(
  visit: Visit,
  { response, signed, endsAt }: { response: ServerResponse; signed: boolean; endsAt: number | undefined },
): Promise<ProxyBody> {
  // Only now is the caller told to send the body (RFC 9110 §10.1.1). A caller without permission has sent nothing in
  // vain.
  if (visit.request.headers.expect !== undefined) response.writeContinue();
  const times = { endsAt, callerIdleMs: CALLER_IDLE_MS };
  return takeBody(visit.request, { signed, onBytes: (count) => (visit.sentBytes += count), times });
}

interface Sending extends Responding {
  readonly visit: Visit;
  readonly endsAt: number | undefined;
  readonly server: ProxyServer;
}

function sendOnce(
  call: ApiCall,
  body: ProxyBody,
  { visit, response, onUpgrade, endsAt, server }: Sending,
): Promise<Passed | 'replaced'> {
  const authorized = authorize(call, visit.request, { server, bytes: call.keepsBody ? body.bytes : undefined });
  call.sentTo = authorized.target;
  const { integration } = call.connection;
  const { connectMs, headersMs, idleMs } = integration.timeouts;
  const isReplaced: ExchangeOptions['isReplaced'] = (status, answered) =>
    server.followUps.after(call, { status, headers: answered, request: authorized });
  const exchange = new Exchange({
    response,
    isReplaced,
    onUpgrade,
    endsAt,
    callerIdleMs: CALLER_IDLE_MS,
    requestId: visit.requestId,
  });
  server.client.stream(
    {
      target: authorized.target,
      method: authorized.method,
      headers: authorized.headers,
      body: call.keepsBody ? (body.bytes ?? body.stream) : undefined,
      contentLength: body.contentLength,
      headersTimeout: headersMs,
      bodyTimeout: idleMs,
      connectTimeoutMs: connectMs,
      ...(onUpgrade ? { upgrade: 'websocket', http1: true } : {}),
      guarded: integration.isGuarded,
      owner: socketOwner(call.connection),
      clientCertificate: integration.clientCertificate?.reveal(),
    },
    exchange,
  );
  return exchange.settled;
}

/** An error as the caller sees it. */
function toCallError(error: unknown, { connection, sentTo }: ApiCall): unknown {
  if (error instanceof CallerGoneError || error instanceof NangoError || !sentTo) return error;
  const { totalMs, headersMs } = connection.integration.timeouts;
  return toNangoError(error, { origin: sentTo.origin, timeoutMs: totalMs === 0 ? headersMs : totalMs });
}

/** The request as the API receives it. */
function authorize(
  { connection, method, redirectedTo }: ApiCall,
  request: IncomingMessage,
  { server, bytes }: { server: ProxyServer; bytes: Buffer | undefined },
): AuthorizedRequest<string> {
  const headers = requestHeaders(request);
  const { context } = server;
  if (redirectedTo)
    return authorizeRedirect({ method, target: redirectedTo, headers, body: bytes }, connection, context);
  const endpoint = (request.url ?? '').slice(PROXY_PATH.length);
  return authorizeRequest({ method, endpoint, headers, body: bytes }, connection, context);
}

/** Reports a request that ended. */
function reportVisit(
  { request, requestId, started, caller, key, call, sentBytes }: Visit,
  { server, passed, error }: { server: ProxyServer; passed?: Passed; error?: CallReport['error'] },
): void {
  server.report({
    integration: key?.integration ?? '',
    userId: key?.userId ?? '',
    uuid: call?.connection.row.uuid,
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

function codeOf(error: unknown): string {
  return error instanceof NangoError ? error.code : 'internal_error';
}
