import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import fastify, { LogController, type FastifyBaseLogger } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { actionRoutes } from './routes/actions.ts';
import { blueprintRoutes } from './routes/blueprints.ts';
import { confirmationRoutes } from './routes/confirmations.ts';
import { connectSessionRoutes } from './routes/connect-sessions.ts';
import { connectionRoutes } from './routes/connections.ts';
import { deviceRoutes } from './routes/device.ts';
import { eventRoutes } from './routes/events.ts';
import { oauthRoutes } from './routes/oauth.ts';
import { requestRoutes } from './routes/request.ts';
import { serverRoutes } from './routes/server.ts';
import { hasInexactNumber, parseExactJson } from '../formats/parse-json.ts';
import { respondToClientError, rejectExpectation } from './client-error.ts';
import { handleError } from './error-mapper.ts';
import { assertJsonDepth } from './json-depth.ts';
import { auditRequests } from './audit.ts';
import { hasBody } from '../calls/call-body.ts';
import { PROXY_PATH } from './proxy/proxy-request.ts';
import { createUpgrades, isUpgrade } from './proxy/proxy-upgrade.ts';
import { createProxy, type Proxy } from './proxy/proxy.ts';
import { createReadCredentials, type ReadCredentials } from './read-credentials.ts';
import { metricsRoute } from './routes/metrics.ts';
import { requestIdOf } from './request-id.ts';
import { routeHeaders } from './response-headers.ts';
import { requireSecretKey } from './secret-keys.ts';
import type { App, ServerContext } from './server-context.ts';
import { notFound } from './not-found.ts';

const BODY_LIMIT = 10_485_760;
const REQUEST_TIMEOUT_MS = 60_000;
const HEADERS_TIMEOUT_MS = 30_000;
// The limit of the request line and the headers together. Larger ones get status 431.
const MAX_HEADER_BYTES = 16_384;
const CLOSE_IDLE_MS = 50;
const STOP_MS = 30_000;

/** Settings of the HTTP server. */
export interface CreateAppOptions {
  readonly log: FastifyBaseLogger;
  /** Called before the routes are added. The OpenAPI generator uses it. */
  readonly beforeRoutes?: (app: App) => Promise<void>;
}

/** A server that passes the proxy's requests to the proxy before the router. */
function createHttpServer(
  { proxy, readCredentials }: { proxy: Proxy; readCredentials: ReadCredentials },
  tracing: ServerContext['tracing'],
): (handler: RequestListener) => Server {
  return (handler) => {
    const server = createServer({
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: 0,
      keepAliveTimeout: 72_000,
      maxHeaderSize: MAX_HEADER_BYTES,
      shouldUpgradeCallback: isUpgrade,
    });
    const upgrades = createUpgrades(proxy);
    const isProxied = ({ url }: IncomingMessage) => url?.startsWith(PROXY_PATH);
    const dispatch: RequestListener = (request, response) => {
      if (isProxied(request)) return proxy(request, response);
      return readAtOnce(request, response) || handler(limitBody(request), response);
    };
    /** Serves a request before the router. If that fails, the route serves it, with its error handling. */
    const readAtOnce = (request: IncomingMessage, response: ServerResponse) => {
      try {
        return readCredentials(request, response);
      } catch {
        return response.headersSent;
      }
    };
    server.on(
      'request',
      tracing
        ? (request, response) => tracing.incoming(request, response, () => dispatch(request, response))
        : dispatch,
    );
    // The proxy asks for the body itself, when it needs the body.
    server.on('checkContinue', (request, response) => {
      if (!isProxied(request)) response.writeContinue();
      server.emit('request', request, response);
    });
    server.on('checkExpectation', rejectExpectation);
    server.on('upgrade', (request, socket, head) => upgrades.handle(request, socket, head));
    server.once('closing', () => upgrades.close());
    return server;
  };
}

/**
 * Parses JSON bodies. Clients send a JSON content type with a DELETE that has no body; the schema of a route says
 * whether it needs one. Numbers keep their digits on the way to an API.
 */
function readJsonBodies(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body: string, done) => {
    if (body === '') done(null, undefined);
    else
      void parse(request, body, (error, value) =>
        error || !hasInexactNumber(body) ? done(error, value) : done(null, parseExactJson(body) ?? value),
      );
  });
}

/** Ends a request whose body does not arrive. A proxied request may take longer. */
function limitBody(request: IncomingMessage): IncomingMessage {
  if (!hasBody(request)) return request;
  const timer = setTimeout(() => request.destroy(), REQUEST_TIMEOUT_MS).unref();
  for (const event of ['end', 'close']) request.once(event, () => clearTimeout(timer));
  return request;
}

/** Builds the HTTP server: API, OAuth pages and health, on one port. */
export async function createApp(server: ServerContext, { log, beforeRoutes }: CreateAppOptions): Promise<App> {
  const app: App = fastify({
    loggerInstance: log,
    bodyLimit: BODY_LIMIT,
    serverFactory: createHttpServer(
      { proxy: createProxy(server), readCredentials: createReadCredentials(server) },
      server.tracing,
    ),
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    // Errors of the router get the same response body as all others.
    frameworkErrors: (error, request, reply) => void handleError(error, request, reply),
    clientErrorHandler: respondToClientError,
    genReqId: ({ headers }) => requestIdOf(headers),
    // A user id in a query may be long; route parameters are short.
    routerOptions: { maxParamLength: 200 },
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(handleError);
  readJsonBodies(app);
  app.setNotFoundHandler(() => {
    throw notFound();
  });
  // Logs the route, and not the URL: queries carry codes, states and user ids.
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions } = request;
    server.tracing?.route(request.raw, routeOptions.url ?? '(none)');
    request.log.debug(
      { method, route: routeOptions.url ?? '(none)', status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'request',
    );
  });
  app.addHook('preValidation', async ({ body }) => assertJsonDepth(body));
  app.decorateRequest('caller', undefined);
  app.addHook('onSend', async ({ id }, reply) => void reply.headers(routeHeaders(id)));
  app.addHook('preClose', async () => {
    app.server.emit('closing');
    // A connection that becomes idle now would keep the server alive. The timers are unreferenced, so that they do not
    // keep a process alive whose server never listened.
    const timer = setInterval(() => app.server.closeIdleConnections(), CLOSE_IDLE_MS).unref();
    // A response may be endless, such as a stream of events.
    const deadline = setTimeout(() => app.server.closeAllConnections(), STOP_MS).unref();
    app.server.once('close', () => (clearInterval(timer), clearTimeout(deadline)));
  });
  await beforeRoutes?.(app);
  await app.register(serverRoutes(server));
  await app.register(metricsRoute(server));
  await app.register(oauthRoutes(server), { prefix: '/oauth' });
  await app.register(
    async (api: App) => {
      api.addHook('onRequest', requireSecretKey(server.secretKeys));
      api.addHook('onSend', auditRequests(server));
      await api.register(connectionRoutes(server));
      await api.register(connectSessionRoutes(server));
      await api.register(confirmationRoutes(server));
      await api.register(requestRoutes(server));
      await api.register(actionRoutes(server));
      await api.register(deviceRoutes(server));
      await api.register(eventRoutes(server));
      await api.register(blueprintRoutes(server));
    },
    { prefix: '/api' },
  );
  return app;
}
