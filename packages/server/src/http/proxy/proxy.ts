import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { authorizeRequest } from '../../connections/authorize-request.ts';
import type { OpenConnection } from '../../connections/connection-context.ts';
import { integrationNameSchema, userIdSchema } from '../../connections/connection-input.ts';
import { waitBeforeRetry } from '../../connections/retry-policy.ts';
import { NangoError } from '../../errors/nango-error.ts';
import type { ConnectionKey } from '../../store/store.ts';
import { toNangoError, type HttpClient } from '../../upstream/http-client.ts';
import { errorAnswer } from '../error-mapper.ts';
import { checkSecretKey } from '../secret-key.ts';
import type { ServerContext } from '../server-context.ts';
import { hasBody, takeBody, type ProxyBody } from './proxy-body.ts';
import { CallerGoneError, Exchange, type ExchangeOptions, type Passed } from './proxy-exchange.ts';
import { requestHeaders } from './proxy-headers.ts';

/** Where the proxy is; what follows is the endpoint. */
export const PROXY_PATH = '/proxy/';

/** Answers a request whose path begins with {@link PROXY_PATH}. */
export type Proxy = (request: IncomingMessage, response: ServerResponse) => void;

type ProxyServer = Pick<ServerContext, 'context' | 'connections' | 'secretKey'> & { readonly client: HttpClient };

const NO_BODY: ProxyBody = {};

/** A call that is under way. */
interface Call {
  readonly key: ConnectionKey;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: ProxyBody;
  retries: number;
  renewals: number;
}

/**
 * Passes requests on to a connection's API, authorized, and the API's answers back, byte by byte. It stands before the
 * router: on this way nothing is done that the bytes do not need.
 */
export function createProxy(server: ProxyServer): Proxy {
  const isSecretKey = checkSecretKey(server.secretKey);
  return (request, response) => {
    const started = performance.now();
    serve(request, response, { server, isSecretKey }).then(
      ({ call, passed }) => report(call, { server, passed, started }),
      (error: unknown) => refuse(error, { request, response, server }),
    );
  };
}

interface Serving {
  readonly server: ProxyServer;
  readonly isSecretKey: ReturnType<typeof checkSecretKey>;
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { server, isSecretKey }: Serving,
): Promise<{ call: Call; passed: Passed }> {
  isSecretKey(request.headers.authorization);
  const key = parseKey(request);
  const { fresh } = server.connections;
  let connection = fresh.hot(key) ?? (await fresh.get(key));
  const signed = connection.mode.sign !== undefined;
  const body = hasBody(request) ? await takeBody(request, { signed }) : NO_BODY;
  const call: Call = { key, request, response, body, retries: 0, renewals: 0 };
  for (;;) {
    let next: OpenConnection | undefined;
    const isReplaced: ExchangeOptions['isReplaced'] = (status, headers) => {
      if (call.body.stream) return false;
      if (status === 401 && call.renewals === 0) {
        call.renewals = 1;
        return fresh.afterRejection(connection).then((renewed) => (next = renewed) !== undefined);
      }
      const answer = { method: request.method ?? '', status, headers, retries: call.retries };
      const wait = waitBeforeRetry(answer, server.context.now());
      if (wait === undefined) return false;
      call.retries += 1;
      return server.context
        .delay(wait)
        .then(() => fresh.get(key))
        .then((again) => (next = again) !== undefined);
    };
    const passed = await send(call, connection, { server, isReplaced });
    if (passed !== 'replaced') {
      if (body.stream) request.unpipe().resume();
      return { call, passed };
    }
    if (!next) throw new NangoError('request_failed', 'The API broke off its answer.');
    connection = next;
  }
}

function send(
  { request, response, body }: Call,
  connection: OpenConnection,
  { server, isReplaced }: { server: ProxyServer; isReplaced: ExchangeOptions['isReplaced'] },
): Promise<Passed | 'replaced'> {
  const authorized = authorizeRequest(
    {
      method: request.method ?? '',
      endpoint: (request.url ?? '').slice(PROXY_PATH.length),
      headers: requestHeaders(request),
      body: body.bytes,
    },
    { ...connection, context: server.context },
  );
  const { integration } = connection;
  const timeoutMs = integration.httpRequestTimeoutSeconds * 1000;
  const { headers, url } = authorized;
  if (body.contentLength !== undefined) headers['content-length'] = body.contentLength;
  const pathAt = url.indexOf('/', url.indexOf('//') + 2);
  const exchange = new Exchange({ response, isReplaced });
  server.client.stream(
    {
      origin: url.slice(0, pathAt),
      path: url.slice(pathAt),
      method: authorized.method,
      headers,
      body: body.bytes ?? body.stream ?? null,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      guarded: integration.isGuarded,
      clientCertificate: integration.clientCertificate?.reveal(),
    },
    exchange,
  );
  return exchange.settled.catch((error: unknown) => {
    throw error instanceof CallerGoneError ? error : toNangoError(error, { url, timeoutMs });
  });
}

const keySchema = z.object({ integration: integrationNameSchema, userId: userIdSchema });

/** `Nango-Integration` and `Nango-User-Id`; the latter percent-encoded UTF-8, since header values are not Unicode. */
function parseKey(request: IncomingMessage): ConnectionKey {
  const parsed = keySchema.safeParse({
    integration: single(request, 'nango-integration'),
    userId: decode(single(request, 'nango-user-id')),
  });
  if (parsed.success) return parsed.data;
  throw new NangoError(
    'invalid_request',
    `Send the headers Nango-Integration and Nango-User-Id, once each. ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`,
  );
}

/** Undefined also when it was sent twice: no one may take the first for what another takes the last for. */
function single(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  if (typeof value !== 'string') return undefined;
  return value.includes(', ') && request.headersDistinct[name]?.length !== 1 ? undefined : value;
}

function decode(text: string | undefined): string | undefined {
  if (text === undefined || !text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new NangoError(
      'invalid_request',
      'Nango-User-Id is not percent-encoded UTF-8; encode it, "%" as "%25" too.',
      {
        cause,
      },
    );
  }
}

function report(
  { key, request, retries, renewals }: Call,
  { server, passed, started }: { server: ProxyServer; passed: Passed; started: number },
): void {
  const { status, bytes, answeredAt } = passed;
  const ms = { ms: Math.round(performance.now() - started), firstByteMs: Math.round(answeredAt - started) };
  const fields = { integration: key.integration, method: request.method, status, bytes, retries, renewals, ...ms };
  server.context.log.debug(fields, 'request passed on');
}

/** An error of ours, told apart from an API's by the header `nango-error`; behind an answer that has begun only its end is left. */
function refuse(
  error: unknown,
  { request, response, server }: { request: IncomingMessage; response: ServerResponse; server: ProxyServer },
): void {
  if (error instanceof CallerGoneError || response.headersSent) {
    if (!(error instanceof CallerGoneError)) server.context.log.warn({ err: error }, 'an answer was broken off');
    return void response.destroy();
  }
  const { status, headers, body } = errorAnswer(error, crypto.randomUUID());
  if (status >= 500) server.context.log.warn({ err: error, requestId: body.error.requestId }, body.error.message);
  // What is left of the request's body belongs to nobody.
  if (!request.complete) headers['connection'] = 'close';
  const text = JSON.stringify(body);
  response
    .writeHead(status, { ...headers, 'content-type': 'application/json', 'nango-error': body.error.type })
    .end(text);
}
