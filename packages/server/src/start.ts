import { hostname } from 'node:os';
import { setTimeout as defaultDelay } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { ActionCatalog } from './actions/action-catalog.ts';
import { createRunAction } from './actions/run-action.ts';
import { createActionLogger, lineWriter } from './observability/log.ts';
import { CATALOG_FOLDER, VERSION } from './package-files.ts';
import { BlueprintCatalog } from './catalog/blueprint-catalog.ts';
import { BlueprintIndex } from './catalog/blueprint-index.ts';
import type { Settings } from './config/settings.ts';
import type { NangoConfig } from './config/nango-config.ts';
import { LiveConfig } from './config/watch-config.ts';
import { BackgroundRefresh } from './refresh/background-refresh.ts';
import { callbackUrl } from './connect/callback-url.ts';
import { ConnectFlow } from './connect/connect-flow.ts';
import { FreshCredentials } from './refresh/fresh-credentials.ts';
import { ConnectionCache } from './refresh/connection-cache.ts';
import { Connections } from './connections/connections.ts';
import { DeviceFlow } from './connect/device-flow.ts';
import { FollowUps } from './calls/follow-ups.ts';
import { createReadPage } from './calls/read-page.ts';
import { RequestLimits } from './calls/request-limits.ts';
import { createExchange, createSendRequest } from './calls/send-request.ts';
import { messageOf, NangoError } from './errors/nango-error.ts';
import { EventLog } from './events/event-log.ts';
import { Retention } from './events/retention.ts';
import { WebhookDelivery } from './events/webhook-delivery.ts';
import { createClientAddress } from './http/client-address.ts';
import { createApp, type CreateAppOptions } from './http/app.ts';
import { SecretKeys } from './http/secret-keys.ts';
import type { ServerContext, App } from './http/server-context.ts';
import { AuditLog } from './observability/audit-log.ts';
import { Metrics } from './observability/metrics.ts';
import { createReportCall } from './observability/report-call.ts';
import type { Tracing } from './observability/tracing.ts';
import { createNameUser } from './observability/user-ids.ts';
import { createClock } from './clock.ts';
import { createContext, type WorkingContext } from './context.ts';
import { isLoopbackHost } from './schema/loopback-host.ts';
import { assertSameKey, openStore, prepareStore } from './operations/open-store.ts';
import { readKeys, type Keys } from './operations/keys.ts';
import { ServerPresence } from './operations/server-presence.ts';
import { createVault } from './vault/vault.ts';

/** Settings of {@link startServer}. */
export interface StartOptions extends Pick<CreateAppOptions, 'beforeRoutes'> {
  readonly settings: Settings;
  readonly log: FastifyBaseLogger;
  /** Milliseconds since the epoch; for tests. */
  readonly now?: () => number;
  /** Resolves after this many milliseconds; for tests. */
  readonly delay?: (milliseconds: number) => Promise<unknown>;
  /** Makes the function that reads the metrics of this process and its siblings. Default: only this process. */
  readonly gatherMetrics?: (registry: Metrics['registry']) => () => Promise<string>;
}

/** A running server. */
export interface RunningServer {
  /** The port it listens on. */
  readonly port: number;
  readonly callbackUrl: string;
  readonly storeDescription: string;
  readonly integrations: readonly string[];
  /** Notices for the operator, one sentence each. */
  readonly notices: readonly string[];
  /** Stops accepting requests, ends those in flight, and closes the store. */
  close(): Promise<void>;
}

/**
 * The composition root: builds the server from its settings and starts it. Throws NangoError, which says what to do.
 */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const { settings, log, beforeRoutes } = options;
  // If a later step fails, everything that was opened is closed, last first.
  await using resources = new AsyncDisposableStack();
  const config = await openConfig(settings, log);
  resources.defer(() => config.close());
  log.level = config.current.server.main_server_log_level;
  const keys = await readKeys(settings, {
    isPublic: !isLoopbackHost(config.current.server.oauth_server_root_url.hostname),
  });
  let isReady = false;
  // The operator must back up new keys, even if the start fails later.
  resources.defer(() => {
    if (!isReady) for (const notice of keys.notices) log.warn({}, notice);
  });
  const tracing = await openTracing(settings);
  resources.defer(() => tracing?.close());
  const limits = new RequestLimits();
  const metrics = new Metrics({ callsInFlight: () => limits.inFlight, callsWaiting: () => limits.waiting });
  const context = await openContext(options, { config, keys, tracing, metrics, resources });
  let stopping = false;
  const webhooks = new WebhookDelivery(context);
  const cache = new ConnectionCache(context.store, {
    size: () => config.current.server.connection_cache_size,
    outageMs: () => config.current.server.database_outage_seconds * 1000,
    onChange: () => webhooks.nudge(),
  });
  resources.defer(() => cache.close());
  const server = createServerContext(context, {
    options,
    keys,
    cache,
    webhooks,
    tracing,
    limits,
    metrics,
    isStopping: () => stopping,
  });
  resources.defer(() => server.audit.close());
  // Refreshes in flight end with their tokens stored, and release their leases, before the store closes.
  resources.defer(() => server.fresh.settled());
  const background = new BackgroundRefresh(context, server.fresh);
  const retention = new Retention(context);
  for (const task of [background, webhooks, retention]) resources.defer(() => task.stop());
  const app = await createApp(server, { log, ...(beforeRoutes ? { beforeRoutes } : {}) });
  resources.defer(() => app.close());
  const port = await listen(app, settings, config);
  for (const task of [background, webhooks, retention]) task.start();
  for (const warning of config.current.warnings) log.warn({}, warning);
  const running = resources.move();
  isReady = true;
  return {
    port,
    callbackUrl: callbackUrl(context),
    storeDescription: context.store.description,
    integrations: [...config.current.integrations.keys()],
    notices: [
      ...(settings.environmentFiles?.notices ?? []),
      ...keys.notices,
      ...portNotices(settings, config.current.server),
    ],
    close: () => {
      stopping = true;
      return running.disposeAsync();
    },
  };
}

/** Loaded only if traces are enabled, because the exporter is large. */
async function openTracing({ tracing }: Settings): Promise<Tracing | undefined> {
  if (!tracing) return undefined;
  const { Tracing } = await import('./observability/tracing.ts');
  return new Tracing(tracing, VERSION);
}

interface Parts {
  readonly config: LiveConfig;
  readonly keys: Keys;
  readonly tracing: Tracing | undefined;
  readonly metrics: Metrics;
  readonly resources: AsyncDisposableStack;
}

/** Opens the parts that work on connections needs. Migrates the store, and checks that the key belongs to it. */
async function openContext(
  { settings, log, now = createClock(), delay = defaultDelay }: StartOptions,
  { config, keys, tracing, metrics, resources }: Parts,
): Promise<WorkingContext> {
  const store = await openStore(settings, { log, now });
  resources.defer(() => store.close());
  const vault = createVault(...keys.encryption);
  await prepareStore(store, vault, { missing: 'create', outdated: 'migrate' });
  const place = { host: hostname(), pid: process.pid, version: VERSION };
  const presence = new ServerPresence({ store, vault, log, place });
  resources.defer(() => presence.stop());
  await presence.start();
  await assertSameKey(store, vault);
  if (!(await store.isMigrationFinished()))
    log.info({}, 'users can have one account each until all servers run this release and `nango migrate finish` ran');
  const opened = { store, vault, log, now, delay, config: () => config.current };
  const context = createContext(opened, {
    ...(tracing ? { trace: tracing.outgoing } : {}),
    onRefresh: (integration, outcome) => metrics.refresh(integration, outcome),
  });
  resources.defer(() => context.client.close());
  return context;
}

interface ServerWiring {
  readonly options: StartOptions;
  readonly keys: Keys;
  readonly cache: ConnectionCache;
  readonly webhooks: WebhookDelivery;
  readonly tracing: Tracing | undefined;
  readonly limits: RequestLimits;
  readonly metrics: Metrics;
  readonly isStopping: () => boolean;
}

function createServerContext(
  context: WorkingContext,
  { options, keys, cache, webhooks, tracing, limits, metrics, isStopping }: ServerWiring,
): ServerContext {
  const { settings, log, gatherMetrics = (registry) => () => registry.metrics() } = options;
  const { client, config, now } = context;
  const fresh = new FreshCredentials(context, cache);
  const followUps = new FollowUps(fresh, context);
  const nameUser = createNameUser({
    key: keys.encryption[0],
    isHashed: () => config().server.log_user_ids === 'hashed',
  });
  const annotate = tracing && ((attributes: Record<string, string | number>) => tracing.annotate(attributes));
  const report = createReportCall({ writeLine: lineWriter(log), metrics, nameUser, annotate });
  const exchange = createExchange({ fresh, client, context, limits, followUps, report });
  const sendRequest = createSendRequest(exchange);
  const readPage = createReadPage({ exchange, context });
  const actions = new ActionCatalog(settings.folder);
  const createLogger = createActionLogger(log);
  const { audit_log_file: file } = config().server;
  const clientAddress = createClientAddress(() => config().server.trusted_proxies);
  const audit = new AuditLog({
    writeLine: lineWriter(log, { always: true }),
    log,
    file,
    folder: settings.folder,
    nameUser,
    now,
  });
  return {
    version: VERSION,
    secretKeys: new SecretKeys({
      full: keys.secrets,
      configured: () => config().server.secret_keys,
      now,
      clientAddress,
    }),
    clientAddress,
    audit,
    context,
    connections: new Connections(context),
    fresh,
    flow: new ConnectFlow(context),
    devices: new DeviceFlow(context),
    sendRequest,
    readPage,
    limits,
    followUps,
    report,
    metrics: gatherMetrics(metrics.registry),
    client,
    actions,
    blueprints: new BlueprintCatalog([CATALOG_FOLDER]),
    blueprintIndex: new BlueprintIndex(CATALOG_FOLDER),
    events: new EventLog(context),
    nudgeWebhooks: () => webhooks.nudge(),
    tracing,
    isStopping,
    runAction: createRunAction({ context, catalog: actions, fresh, sendRequest, readPage, createLogger }),
  };
}

function openConfig(settings: Settings, log: FastifyBaseLogger): Promise<LiveConfig> {
  const { folder, environment, environmentFiles } = settings;
  const options = { folder, catalog: CATALOG_FOLDER, environment, environmentFiles };
  // The settings with which the server started.
  let started: NangoConfig | undefined;
  return LiveConfig.open(options, {
    onReload(current, previous) {
      log.level = current.server.main_server_log_level;
      log.info({ integrations: current.integrations.size }, 'configuration reloaded');
      for (const warning of current.warnings.filter((text) => !previous.warnings.includes(text))) log.warn({}, warning);
      started ??= previous.server;
      for (const key of keysThatNeedRestart(started, current.server))
        log.warn({}, `${key} takes effect with the next start`);
    },
    onInvalid: (error) => log.error({}, `${error.message}\nThe last good configuration stays in force.`),
    onError: (error) =>
      log.error({ err: error }, 'the configuration could not be read; the last good one stays in force'),
  });
}

/** Returns the keys that have changed since the start, and that take effect only with the next start. */
function keysThatNeedRestart(started: NangoConfig, current: NangoConfig): string[] {
  const isLocal = ({ oauth_server_root_url: root }: NangoConfig) => isLoopbackHost(root.hostname);
  return [
    ...(current.oauth_server_port === started.oauth_server_port ? [] : ['oauth_server_port']),
    // Callback URLs and pages change at once. The address to listen on, and who may connect without a token, do not.
    ...(isLocal(current) === isLocal(started)
      ? []
      : ['The address to listen on, which follows from oauth_server_root_url,']),
    ...(current.audit_log_file === started.audit_log_file ? [] : ['audit_log_file']),
  ];
}

/** Returns a notice if the callback URL has another port than the one on which the server listens. */
function portNotices({ port }: Settings, { oauth_server_root_url: root }: NangoConfig): string[] {
  if (port === undefined || port === 0 || !isLoopbackHost(root.hostname) || Number(root.port || 80) === port) return [];
  return [
    `--port changes only the port on which the server listens. The callback URL stays at ${root.origin}. ` +
      'To change both, set oauth_server_root_url and oauth_server_port in nango-config.yaml.',
  ];
}

async function listen(app: App, settings: Settings, config: LiveConfig): Promise<number> {
  const { oauth_server_port, oauth_server_root_url } = config.current.server;
  const port = settings.port ?? oauth_server_port;
  // With a loopback root, everyone who reaches the server may connect. So only this machine may reach it.
  const host = settings.host ?? (isLoopbackHost(oauth_server_root_url.hostname) ? 'localhost' : '::');
  try {
    await app.listen({ host, port }).catch((error: unknown) => {
      // A machine without IPv6 cannot listen on `::`.
      if (settings.host !== undefined || !isWithoutIpv6(error)) throw error;
      return app.listen({ host: '0.0.0.0', port });
    });
  } catch (cause) {
    const isTaken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE';
    const remedy = isTaken
      ? 'Another program uses this port. ' +
        'Stop that program, or set oauth_server_port and oauth_server_root_url in nango-config.yaml.'
      : messageOf(cause);
    throw new NangoError('port_unavailable', `The server cannot listen on ${host}:${port}. ${remedy}`, { cause });
  }
  const address = app.server.address();
  return typeof address === 'object' && address ? address.port : port;
}

function isWithoutIpv6(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EAFNOSUPPORT' || error.code === 'EADDRNOTAVAIL');
}
