import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as defaultDelay } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { ActionCatalog } from './actions/action-catalog.ts';
import { createRunAction } from './actions/run-action.ts';
import { createActionLogger } from './log.ts';
import { CATALOG_FOLDER, VERSION } from './package-files.ts';
import type { Settings } from './config/settings.ts';
import { LiveConfig } from './config/watch-config.ts';
import { BackgroundRefresh } from './connections/background-refresh.ts';
import { createClientRegistrations } from './connections/client-registrations.ts';
import { ConnectFlow } from './connections/connect-flow.ts';
import type { ConnectionContext } from './connections/connection-context.ts';
import { Connections } from './connections/connections.ts';
import { DeviceFlow } from './connections/device-flow.ts';
import { createSendRequest } from './connections/send-request.ts';
import { messageOf, NangoError } from './errors/nango-error.ts';
import { createApp, type App, type CreateAppOptions } from './http/app.ts';
import { callbackUrl, type ServerContext } from './http/server-context.ts';
import { createClock } from './clock.ts';
import { isLoopbackHost } from './schema/loopback-host.ts';
import { MetadataCache } from './oauth/metadata-cache.ts';
import { openSqliteStore } from './store/sqlite.ts';
import type { Store } from './store/store.ts';
import { createOAuthHttp, HttpClient } from './upstream/http-client.ts';
import { prepareDataDirectory, readOrCreateKeyFile } from './vault/key-files.ts';
import { Secret } from './vault/secret.ts';
import { createVault, parseEncryptionKeys, type Vault } from './vault/vault.ts';

export interface StartOptions extends Pick<CreateAppOptions, 'beforeRoutes'> {
  readonly settings: Settings;
  readonly log: FastifyBaseLogger;
  /** Milliseconds since the epoch; for tests. */
  readonly now?: () => number;
  /** Resolves after so many milliseconds; for tests. */
  readonly delay?: (milliseconds: number) => Promise<unknown>;
}

/** A server that answers requests. */
export interface RunningServer {
  /** The port it listens on. */
  readonly port: number;
  readonly callbackUrl: string;
  readonly storeDescription: string;
  readonly integrations: readonly string[];
  /** What the operator must be told, one sentence each. */
  readonly notices: readonly string[];
  /** Stops accepting, ends what is under way, closes the store. */
  close(): Promise<void>;
}

/** The composition root: builds the server from its settings and starts it. Throws NangoError with what to do. */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const { settings, log, beforeRoutes } = options;
  // Whatever was opened is closed again, last first, when a later step fails.
  await using resources = new AsyncDisposableStack();
  const config = await openConfig(settings, log);
  resources.defer(() => config.close());
  log.level = config.current.server.main_server_log_level;
  const keys = readKeys(settings);
  const context = await openContext(options, { config, keys, resources });
  const server = createServerContext(context, options, keys);
  // Renewals under way end with their tokens stored, and so give their leases back, before the store closes.
  resources.defer(() => server.connections.fresh.settled());
  const background = new BackgroundRefresh(context, server.connections.fresh);
  resources.defer(() => background.stop());
  const app = await createApp(server, { log, ...(beforeRoutes ? { beforeRoutes } : {}) });
  resources.defer(() => app.close());
  const port = await listen(app, settings, config);
  background.start();
  for (const warning of config.current.warnings) log.warn({}, warning);
  const running = resources.move();
  return {
    port,
    callbackUrl: callbackUrl(context),
    storeDescription: context.store.description,
    integrations: [...config.current.integrations.keys()],
    notices: keys.notices,
    close: () => running.disposeAsync(),
  };
}

interface Parts {
  readonly config: LiveConfig;
  readonly keys: Keys;
  readonly resources: AsyncDisposableStack;
}

/** Opens what connections work with: the store, migrated and proven to be this key's, the vault and the HTTP client. */
async function openContext(
  { settings, log, now = createClock(), delay = defaultDelay }: StartOptions,
  { config, keys, resources }: Parts,
): Promise<ServerParts> {
  const store = await openStore(settings, { log, now });
  resources.defer(() => store.close());
  await store.migrate();
  const vault = createVault(...keys.encryption);
  await assertSameKey(store, vault);
  const client = new HttpClient();
  resources.defer(() => client.close());
  return {
    store,
    vault,
    log,
    now,
    client,
    authorizationServers: new MetadataCache(now),
    protectedResources: new MetadataCache(now),
    registrations: createClientRegistrations({ store, vault, now }),
    config: () => config.current,
    http: createOAuthHttp(client, { now }),
    delay,
    random: Math.random,
    randomToken: () => randomBytes(32).toString('base64url'),
  };
}

type ServerParts = ConnectionContext & { readonly client: HttpClient };

function createServerContext(context: ServerParts, { settings, log }: StartOptions, keys: Keys): ServerContext {
  const connections = new Connections(context);
  const sendRequest = createSendRequest({ fresh: connections.fresh, client: context.client, context });
  const actions = new ActionCatalog(settings.folder);
  const createLogger = createActionLogger(log);
  return {
    version: VERSION,
    secretKey: keys.secret,
    context,
    connections,
    flow: new ConnectFlow(context),
    devices: new DeviceFlow(context),
    sendRequest,
    actions,
    runAction: createRunAction({ context, catalog: actions, connections, sendRequest, createLogger }),
  };
}

function openConfig(settings: Settings, log: FastifyBaseLogger): Promise<LiveConfig> {
  const options = { folder: settings.folder, catalog: CATALOG_FOLDER, environment: settings.environment };
  return LiveConfig.open(options, {
    onReload(current, previous) {
      log.level = current.server.main_server_log_level;
      log.info({ integrations: current.integrations.size }, 'configuration reloaded');
      for (const warning of current.warnings.filter((text) => !previous.warnings.includes(text))) log.warn({}, warning);
      if (current.server.oauth_server_port !== previous.server.oauth_server_port)
        log.warn({}, 'oauth_server_port takes effect with the next start');
    },
    onInvalid: (error) => log.error({}, `${error.message}\nThe last good configuration stays in force.`),
    onError: (error) =>
      log.error({ err: error }, 'the configuration could not be read; the last good one stays in force'),
  });
}

interface Keys {
  /** The first seals. */
  readonly encryption: [Uint8Array, ...Uint8Array[]];
  readonly secret: Secret<string>;
  /** What the operator must be told about them. */
  readonly notices: readonly string[];
}

/** The store and the vault alone, for work on what is stored. Throws as the start of a server does. */
export async function openKeyedStore(settings: Settings): Promise<{ store: Store; vault: Vault }> {
  if (settings.databaseUrl === undefined && !existsSync(databaseFile(settings)))
    throw new NangoError('missing_setting', `There is no database ${databaseFile(settings)}.`);
  const keys = readKeys(settings);
  const store = await openStore(settings, { now: createClock() });
  try {
    await store.migrate();
    const vault = createVault(...keys.encryption);
    await assertSameKey(store, vault);
    return { store, vault };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Keys from the environment; in embedded mode made on first start where they are absent. */
function readKeys(settings: Settings): Keys {
  const notices: string[] = [];
  if (settings.databaseUrl !== undefined) assertKeysGiven(settings);
  else prepareDataDirectory(settings.dataDirectory);
  const fromFile = (name: string, options: { prefix?: string; mustExist: boolean }, advice: string): string => {
    const file = readOrCreateKeyFile(join(settings.dataDirectory, name), options);
    if (file.created) notices.push(`${advice} ${file.path}`);
    if (file.exposed)
      notices.push(`Others on this machine can read ${file.path}. Make it private: chmod 600 ${file.path}`);
    return file.text;
  };
  const mustExist = existsSync(databaseFile(settings));
  const encryption =
    settings.encryptionKey ??
    fromFile(
      'encryption.key',
      { mustExist },
      'Encryption key made. Back it up, without it no stored credential can be read:',
    );
  const secret =
    settings.secretKey ??
    fromFile(
      'secret.key',
      { prefix: 'nango_secret_', mustExist: false },
      'Secret key for your back end (NANGO_SECRET_KEY) made:',
    );
  const source =
    settings.encryptionKey === undefined ? join(settings.dataDirectory, 'encryption.key') : 'NANGO_ENCRYPTION_KEY';
  return { encryption: parseEncryptionKeys(encryption, source), secret: new Secret(secret), notices };
}

function assertKeysGiven({ encryptionKey, secretKey }: Settings): void {
  if (encryptionKey === undefined)
    throw new NangoError(
      'missing_setting',
      'With DATABASE_URL, NANGO_ENCRYPTION_KEY must be set: 32 random bytes, the same for all servers. Make one with: openssl rand -base64 32',
    );
  if (secretKey === undefined)
    throw new NangoError(
      'missing_setting',
      'With DATABASE_URL, NANGO_SECRET_KEY must be set: the key your back end sends. Make one with: openssl rand -base64 32',
    );
}

async function openStore(
  settings: Settings,
  { log, now }: { log?: FastifyBaseLogger; now: () => number },
): Promise<Store> {
  if (settings.databaseUrl === undefined) return openSqliteStore(databaseFile(settings), now);
  // Loaded on demand: an embedded server saves its memory.
  const { openPostgresStore } = await import('./store/postgres.ts');
  return openPostgresStore(settings.databaseUrl, {
    onError: (error) => log?.warn({ err: error }, 'a database connection broke'),
  });
}

function databaseFile({ dataDirectory }: Settings): string {
  return join(dataDirectory, 'nango.db');
}

/** A key that is not this database's must stop the start: it would seal new credentials that the right one cannot open. */
async function assertSameKey(store: Store, vault: Vault): Promise<void> {
  const place = { table: 'nango_meta', row: 'key_check', column: 'value' };
  const stored = await store.keyCheck(vault.seal('nango', place));
  try {
    vault.open(stored, place);
  } catch (cause) {
    throw new NangoError(
      'invalid_encryption_key',
      'The encryption key is not the one this database was sealed with. Set NANGO_ENCRYPTION_KEY (or restore encryption.key) to the original key; a backup of it must exist where the server first ran.',
      { cause },
    );
  }
}

async function listen(app: App, settings: Settings, config: LiveConfig): Promise<number> {
  const { oauth_server_port, oauth_server_root_url } = config.current.server;
  const port = settings.port ?? oauth_server_port;
  // On a loopback root anyone who reaches the server may connect, so only this machine may reach it.
  const host = settings.host ?? (isLoopbackHost(oauth_server_root_url.hostname) ? 'localhost' : '0.0.0.0');
  try {
    await app.listen({ host, port });
  } catch (cause) {
    const taken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE';
    const remedy = taken
      ? 'Another program uses it; stop that, or set oauth_server_port (and oauth_server_root_url) in nango-config.yaml.'
      : messageOf(cause);
    throw new NangoError('missing_setting', `The server cannot listen on ${host}:${port}. ${remedy}`, { cause });
  }
  const address = app.server.address();
  return typeof address === 'object' && address ? address.port : port;
}
