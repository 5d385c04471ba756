import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { NangoEvent } from '@nangohq/node-client';
import { freePort } from './free-port.ts';
import { ENCRYPTION_KEY, SECRET_KEY } from './nango-server.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { startRotatingProvider, type ProviderCounts, type RotatingProvider } from './rotating-provider.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';
import { temporaryFolder, type Cleanup } from './temporary-folder.ts';

const SETTLE_MS = 45_000;
const SLOWEST_MS = 2_000;
// Short, but long enough that no token has expired when its response arrives.
const SHORTEST_LIFE_MS = 3_500;
const LONGEST_LIFE_MS = 6_000;
const FULL_DISK = existsSync('/dev/full') ? '/dev/full' : undefined;
const JUMPING_CLOCK = `--import=${new URL('jumping-clock.ts', import.meta.url).href}`;

/** The attacks on the servers, and their duration. */
export interface TortureOptions {
  readonly seconds: number;
  readonly connections: number;
  readonly clients: number;
  /** Several servers share one PostgreSQL. A single server uses the embedded store. */
  readonly servers: number;
  readonly databaseRestarts: number;
  readonly log: (line: string) => void;
}

/** The results. The lists are empty if no promise is broken. */
export interface TortureReport {
  readonly provider: ProviderCounts;
  readonly kills: number;
  readonly answers: Record<string, number>;
  /** Callers that got a token of another connection, an unknown token, or an expired token. */
  readonly wrongTokens: string[];
  /** Connections that were lost although no response of the provider was lost. */
  readonly lostWithoutCause: string[];
  /** Connections whose grant is gone but that are not marked, or that do not have exactly one event for it. */
  readonly unannounced: string[];
  /** Connections lost with a response, at a provider without grace. Each is marked. */
  readonly lostWithResponse: number;
  readonly leaked: boolean;
}

interface Host {
  readonly url: string;
  process: ServerProcess | undefined;
  output: string;
  start(): Promise<void>;
}

/**
 * Attacks servers while they refresh and callers never stop: kills, a slow and failing provider, jumping clocks, a
 * full disk for the logs, and a database that restarts.
 */
export async function torture(cleanup: Cleanup, options: TortureOptions): Promise<TortureReport> {
  const provider = await startRotatingProvider(cleanup, {
    failureRate: 0.1,
    lifeMs: () => SHORTEST_LIFE_MS + Math.random() * (LONGEST_LIFE_MS - SHORTEST_LIFE_MS),
    delayMs: () => Math.random() * SLOWEST_MS,
  });
  const postgres = options.servers > 1 ? await startPostgres(cleanup) : undefined;
  const databaseUrl = await postgres?.createDatabase();
  const hosts: Host[] = [];
  for (let index = 0; index < options.servers; index += 1)
    hosts.push(await prepareHost(cleanup, { provider, databaseUrl }));
  await Promise.all(hosts.map((host) => host.start()));
  await register(hosts, provider, options.connections);
  options.log(`${options.connections} connections, ${options.servers} servers, ${options.seconds} s`);

  const state = { ended: false, kills: 0 };
  const answers: Record<string, number> = {};
  const wrongTokens: string[] = [];
  const clients = Array.from({ length: options.clients }, () =>
    hammer({ hosts, provider, options, state, answers, wrongTokens }),
  );
  const killer = killServers(hosts, { provider, state });
  const clocks = setClocksWrong(hosts, state);
  if (postgres) await restartDatabase(postgres, options);
  else await delay(options.seconds * 1000);
  state.ended = true;
  provider.heal();
  await Promise.all([...clients, killer, clocks]);
  return {
    ...(await settle(hosts, { provider, options })),
    provider: provider.counts,
    kills: state.kills,
    answers,
    wrongTokens,
  };
}

async function prepareHost(
  cleanup: Cleanup,
  { provider, databaseUrl }: { provider: RotatingProvider; databaseUrl: string | undefined },
): Promise<Host> {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const folder = temporaryFolder(cleanup, {
    'nango-config.yaml':
      `oauth_server_port: ${port}\noauth_server_root_url: ${url}\nmain_server_log_level: debug\n` +
      (FULL_DISK ? `audit_log_file: ${FULL_DISK}\n` : ''),
    'integrations.yaml': `integrations:
  acme:
    oauth_client_id: client
    oauth_client_secret: secret
    oauth_scopes: []
    refresh_concurrency: 50
    auth:
      auth_mode: OAUTH2
      authorization_url: '${provider.url}/a'
      token_url: '${provider.url}/t'
      refresh_margin_seconds: 0
    requests: { base_url: '${provider.url}/' }
`,
  });
  const environment: Record<string, string> = {
    NANGO_SECRET_KEY: SECRET_KEY,
    NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY,
    NANGO_DATA_DIR: join(folder, 'data'),
    NODE_OPTIONS: JUMPING_CLOCK,
    ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }),
  };
  let starts = 0;
  const host: Host = {
    url,
    process: undefined,
    output: '',
    async start() {
      // The disk for the log of every other server is full. The other logs are searched for secrets.
      const logFile = (starts += 1) % 2 === 0 ? FULL_DISK : undefined;
      // A server does not start without the database, as it should. Its operator starts it again.
      for (let attempt = 0; ; attempt += 1) {
        try {
          host.process = await startServerProcess(cleanup, { folder, url, environment, logFile });
          return;
        } catch (error) {
          if (attempt >= 20) throw error;
          await delay(250);
        }
      }
    },
  };
  return host;
}

async function register(hosts: readonly Host[], provider: RotatingProvider, connections: number): Promise<void> {
  const [host] = hosts;
  for (let index = 0; index < connections; index += 1) {
    const userId = `user-${index}`;
    const { status } = await call(host?.url ?? '', 'POST', '/api/connections', {
      integration: 'acme',
      userId,
      credentials: provider.grant(userId, index % 2 === 0),
    });
    if (status !== 201) throw new Error(`The connection was not registered: ${status}`);
  }
}

interface Hammering {
  readonly hosts: readonly Host[];
  readonly provider: RotatingProvider;
  readonly options: TortureOptions;
  readonly state: { readonly ended: boolean };
  readonly answers: Record<string, number>;
  readonly wrongTokens: string[];
}

/** Calls one connection after the other, and checks each token against the provider’s record. */
async function hammer({ hosts, provider, options, state, answers, wrongTokens }: Hammering): Promise<void> {
  while (!state.ended) {
    const userId = `user-${Math.floor(Math.random() * options.connections)}`;
    const host = hosts[Math.floor(Math.random() * hosts.length)];
    const asked = Date.now();
    const { status, body } = await call(host?.url ?? '', 'GET', `/api/connection?integration=acme&userId=${userId}`);
    const outcome = status === 200 ? '200' : `${status} ${errorType(body)}`;
    answers[outcome] = (answers[outcome] ?? 0) + 1;
    if (status === 0) await delay(20);
    if (status !== 200) continue;
    const { access_token } = (body as { credentials: { access_token: string } }).credentials;
    const token = provider.see(access_token);
    if (token?.family !== userId) wrongTokens.push(`${userId} got a token of ${token?.family ?? 'nobody'}`);
    else if (token.expiresAt <= asked)
      wrongTokens.push(`${userId} got a token that had expired ${asked - token.expiresAt} ms before`);
  }
}

async function killServers(
  hosts: readonly Host[],
  { provider, state }: { provider: RotatingProvider; state: { ended: boolean; kills: number } },
): Promise<void> {
  while (!state.ended) {
    await delay(1_000);
    const host = hosts[Math.floor(Math.random() * hosts.length)];
    if (!host?.process || state.ended) continue;
    await host.process.kill();
    state.kills += 1;
    provider.serverDied();
    host.output += host.process.output();
    await host.start();
  }
}

/** Does not jump while a server starts, because its start has no other clock to compare with. */
async function setClocksWrong(hosts: readonly Host[], state: { readonly ended: boolean }): Promise<void> {
  while (!state.ended) {
    await delay(300);
    const host = hosts[Math.floor(Math.random() * hosts.length)];
    host?.process?.child.kill('SIGUSR2');
  }
}

async function restartDatabase(postgres: TestPostgres, { seconds, databaseRestarts }: TortureOptions): Promise<void> {
  const pause = (seconds * 1000) / (databaseRestarts + 1);
  for (let restart = 0; restart < databaseRestarts; restart += 1) {
    await delay(pause);
    await postgres.stop();
    await delay(1_000);
    await postgres.start();
  }
  await delay(pause);
}

/** Requests every connection once more from a healthy provider, and compares the results with its records. */
async function settle(
  hosts: readonly Host[],
  { provider, options }: { provider: RotatingProvider; options: TortureOptions },
) {
  const lostWithoutCause: string[] = [];
  const unannounced: string[] = [];
  const marks: string[] = [];
  let lostWithResponse = 0;
  const [host] = hosts;
  const deadline = Date.now() + SETTLE_MS;
  for (let index = 0; index < options.connections; index += 1) {
    const userId = `user-${index}`;
    const family = provider.families.get(userId);
    const isGone = () => family?.revoked ?? false;
    const { status, body } = await untilSettled(host?.url ?? '', { userId, deadline, isGone });
    const marked = status === 409 && errorType(body) === 'needs_reconnect';
    if (marked) marks.push(userId);
    if (family?.revoked && family.responseLost && !family.grace && marked) lostWithResponse += 1;
    else if (family?.revoked && !marked) unannounced.push(`${userId}: ${status} ${errorType(body)}`);
    else if (status !== 200) lostWithoutCause.push(`${userId}: ${status} ${errorType(body)}`);
  }
  unannounced.push(...(await wronglyTold(host?.url ?? '', marks)));
  for (const { process } of hosts)
    if (process?.child.exitCode !== null) options.log(`a server ended by itself: ${process?.output().slice(-2000)}`);
  const outputs = hosts.map(({ output, process }) => output + (process?.output() ?? '')).join('');
  return { lostWithoutCause, unannounced, lostWithResponse, leaked: outputs.includes('CANARY') };
}

/** Connections whose needs_reconnect events do not match their status. */
async function wronglyTold(url: string, marked: readonly string[]): Promise<string[]> {
  const told: string[] = [];
  for (let cursor = ''; ;) {
    const { body } = await call(url, 'GET', `/api/events?limit=200${cursor}`);
    const page = body as { events: NangoEvent[]; nextCursor: string; hasMore: boolean };
    told.push(
      ...page.events.filter(({ type }) => type === 'connection.needs_reconnect').map(({ data }) => data.userId),
    );
    if (!page.hasMore) break;
    cursor = `&cursor=${page.nextCursor}`;
  }
  const wrong = [...told.filter((id) => !marked.includes(id)), ...marked.filter((id) => !told.includes(id))];
  const repeated = told.filter((userId, index) => told.indexOf(userId) !== index);
  return [...wrong, ...repeated].map((userId) => `${userId}: events and status do not agree`);
}

/**
 * A connection that backs off, or that has the lease of a dead server, settles within the life of a lease. One whose
 * grant is gone settles when its access token expires.
 */
async function untilSettled(
  url: string,
  { userId, deadline, isGone }: { userId: string; deadline: number; isGone: () => boolean },
) {
  for (;;) {
    const answer = await call(url, 'GET', `/api/connection?integration=acme&userId=${userId}`);
    const settled = answer.status === 409 || (answer.status === 200 && !isGone());
    if (settled || Date.now() > deadline) return answer;
    await delay(100);
  }
}

async function call(
  url: string,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; body: unknown }> {
  try {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${SECRET_KEY}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      body: body ? JSON.stringify(body) : null,
    });
    return { status: response.status, body: await response.json() };
  } catch {
    return { status: 0, body: {} };
  }
}

function errorType(body: unknown): string {
  const { error } = body as { error?: { type?: string } };
  return error?.type ?? '';
}
