import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { NangoError } from '../errors/nango-error.ts';
import { actionRoutes } from './routes/actions.ts';
import { connectSessionRoutes } from './routes/connect-sessions.ts';
import { connectionRoutes } from './routes/connections.ts';
import { deviceRoutes } from './routes/device.ts';
import { eventRoutes } from './routes/events.ts';
import { oauthRoutes } from './routes/oauth.ts';
import { requestRoutes } from './routes/request.ts';
import { serverRoutes } from './routes/server.ts';
import { handleError } from './error-mapper.ts';
import { assertJsonDepth } from './json-depth.ts';
import { createProxy, PROXY_PATH, type Proxy } from './proxy/proxy.ts';
import { requireSecretKey } from './secret-key.ts';
import type { ServerContext } from './server-context.ts';

const BODY_LIMIT = 10_485_760;
const REQUEST_TIMEOUT_MS = 60_000;
const HEADERS_TIMEOUT_MS = 30_000;
const CLOSE_IDLE_MS = 50;
const STOP_MS = 30_000;

/** A Fastify instance whose route schemas are zod's. */
export type App = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

export interface CreateAppOptions {
  readonly log: FastifyBaseLogger;
  /** Runs before the routes are added; the OpenAPI generator listens here. */
  readonly beforeRoutes?: (app: App) => Promise<void>;
}

/** A server on which the proxy's requests never see the router. */
function createHttpServer(proxy: Proxy): (handler: RequestListener) => Server {
  return (handler) => {
    const server = createServer({ headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: 0, keepAliveTimeout: 72_000 });
    server.on('request', (request, response) =>
      request.url?.startsWith(PROXY_PATH) ? proxy(request, response) : handler(limitBody(request), response),
    );
    return server;
  };
}

/** Ends a request whose body does not come; a proxied one may take its time. */
function limitBody(request: IncomingMessage): IncomingMessage {
  const { headers } = request;
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) return request;
  const timer = setTimeout(() => request.destroy(), REQUEST_TIMEOUT_MS).unref();
  for (const event of ['end', 'close']) request.once(event, () => clearTimeout(timer));
  return request;
}

/** Builds the HTTP server: API, OAuth pages and health, on one port. */
export async function createApp(server: ServerContext, { log, beforeRoutes }: CreateAppOptions): Promise<App> {
  const app: App = fastify({
    loggerInstance: log,
    bodyLimit: BODY_LIMIT,
    serverFactory: createHttpServer(createProxy(server)),
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: () => crypto.randomUUID(),
    // A user id in a query may be long, but no route parameter is.
    routerOptions: { maxParamLength: 200 },
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(handleError);
  app.setNotFoundHandler(() => {
    throw new NangoError('not_found', 'There is nothing at this address.');
  });
  // The route, not the URL: queries carry codes, states and user ids.
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions } = request;
    request.log.debug(
      { method, route: routeOptions.url ?? '(none)', status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'request',
    );
  });
  app.addHook('preValidation', async ({ body }) => assertJsonDepth(body));
  app.addHook('onSend', async (_request, reply) => void reply.header('x-content-type-options', 'nosniff'));
  app.addHook('preClose', async () => {
    // A connection that becomes idle now would be kept alive, and the server with it.
    const timer = setInterval(() => app.server.closeIdleConnections(), CLOSE_IDLE_MS);
    // An answer may be without end, as events are.
    const deadline = setTimeout(() => app.server.closeAllConnections(), STOP_MS).unref();
    app.server.once('close', () => (clearInterval(timer), clearTimeout(deadline)));
  });
  await beforeRoutes?.(app);
  await app.register(serverRoutes(server));
  await app.register(oauthRoutes(server), { prefix: '/oauth' });
  await app.register(
    async (api: App) => {
      api.addHook('onRequest', requireSecretKey(server.secretKey));
      await api.register(connectionRoutes(server));
      await api.register(connectSessionRoutes(server));
      await api.register(requestRoutes(server));
      await api.register(actionRoutes(server));
      await api.register(deviceRoutes(server));
      await api.register(eventRoutes(server));
    },
    { prefix: '/api' },
  );
  return app;
}
