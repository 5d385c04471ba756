import assert from 'node:assert/strict';
import { test } from 'node:test';
import { integrationOf } from '../../../../test/support/integration.ts';
import { oauth2 } from '../auth-modes/oauth2/oauth2.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { OAuthHttp } from '../oauth/oauth-http.ts';
import type { ConnectionRow, Store } from '../store/store.ts';
import { createVault } from '../vault/vault.ts';
import { ConnectionCache } from './connection-cache.ts';
import type { ConnectionContext } from '../connections/connection-context.ts';
import { placeOf } from '../connections/sealed-credentials.ts';
import { sealJson } from '../vault/sealed-json.ts';
import { FreshCredentials } from './fresh-credentials.ts';
import { revealText } from '../vault/secret.ts';
import { revealed, secret } from '../../../../test/support/secrets.ts';

// Runs every interleaving of servers that refresh one connection. At every point, a server may die, or a lease may
// expire while its holder lives. The real engine runs. Its calls to store and provider wait for the scheduler, which
// tries all orders one after the other.

const KEY = { integration: 'acme', userId: '1', account: 'default', id: 'u' };
const NOW = 1_800_000_000_000;
const MAX_RUNS = 60_000;

interface Step {
  readonly server: number;
  readonly label: string;
  /** A wait ends only if something has changed since the server's last read. */
  readonly since: number | undefined;
  readonly run: () => void;
}

interface Scenario {
  readonly servers: number;
  readonly deaths: number;
  readonly leasesRunOut: number;
  /** Whether the provider accepts an old refresh token once more. Otherwise its use revokes the whole family. */
  readonly grace: boolean;
  /** Whether the first server also runs a background refresh at the same time. */
  readonly background?: boolean;
  readonly time?: Time;
}

/** The lifetimes of tokens, and the clock. */
interface Time {
  readonly marginSeconds: number;
  /** Milliseconds until the stored token expires; negative if it has expired. */
  readonly leftMs: number;
  /** Milliseconds by which the clock may jump, once, at any point. */
  readonly jumpMs: number;
  /** The milliseconds that the provider's responses take, and the lifetime of its tokens. */
  readonly tookMs: number;
  readonly lifeSeconds: number;
}

const NO_TIME: Time = { marginSeconds: 60, leftMs: -1, jumpMs: 0, tookMs: 0, lifeSeconds: 3600 };

/** One execution: the choices that it made, and the number of options at each choice. */
interface Execution {
  readonly choices: number[];
  readonly widths: number[];
  readonly world: World;
  readonly results: (string | undefined)[];
  /** False if it reached a state whose continuations were tried before. */
  readonly complete: boolean;
}

/** The database's row and the provider, with the semantics that `test/store/store.test.ts` tests for all stores. */
class World {
  readonly steps: Step[] = [];
  readonly dead = new Set<number>();
  readonly stored = new Set(['at-0']);
  readonly trace: string[] = [];
  readonly readAt = new Map<number, number>();
  /** What each server has seen since its last read. This and its next step determine what it will do. */
  readonly observed = new Map<number, string>();
  row: ConnectionRow;
  holder: string | null = null;
  leaseRanOut = false;
  changes = 0;
  deaths = 0;
  runOuts = 0;
  now = NOW;
  jumps = 0;
  /** The number of the refresh token that the provider issued last, and whether its family was revoked. */
  issued = 0;
  revoked = false;
  calls = 0;
  readonly grace: boolean;
  readonly time: Time;

  constructor({ grace, time = NO_TIME }: Scenario) {
    this.grace = grace;
    this.time = time;
    this.row = firstRow(time);
  }

  gate<T>(server: number, label: string, effect: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const since = label === 'wait' ? this.readAt.get(server) : undefined;
      const run = () => {
        this.trace.push(`${server} ${label}`);
        if (label === 'read') {
          this.readAt.set(server, this.changes);
          this.observed.set(server, '');
        }
        try {
          const result = effect();
          this.observed.set(server, `${this.observed.get(server) ?? ''};${label}=${summary(result)}`.slice(-600));
          resolve(result);
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      this.steps.push({ server, label, since, run });
    });
  }

  /** Two executions that reach the same state have the same continuations. */
  state(): string {
    const { row, holder, leaseRanOut, issued, revoked, calls, deaths, runOuts, jumps, now } = this;
    const steps = this.steps.map(({ server, label, since }) => {
      const ready = since === undefined || since < this.changes;
      return `${server}${label}${ready}${this.observed.get(server)}`;
    });
    const world = [
      row.version,
      row.status,
      row.refresh.responseLost,
      holder,
      leaseRanOut,
      issued,
      revoked,
      calls,
      deaths,
      runOuts,
      jumps,
      now,
    ];
    return JSON.stringify([world, [...this.dead], steps.toSorted(), [...this.stored]]);
  }

  change(row: Partial<ConnectionRow>, holder: string | null): ConnectionRow {
    this.changes += 1;
    this.holder = holder;
    this.leaseRanOut = false;
    this.row = { ...this.row, ...row, refresh: { ...this.row.refresh, ...row.refresh, leasedMs: holder ? 1 : null } };
    return this.row;
  }

  /** Accepts the last refresh token, and with grace the one before it. Any other one revokes the family. */
  provide(refreshToken: string): { status: number; body: string } {
    this.calls += 1;
    const used = Number(refreshToken.slice(3));
    const accepted = !this.revoked && (used === this.issued || (this.grace && used === this.issued - 1));
    if (!accepted) {
      this.revoked = true;
      return { status: 400, body: '{"error":"invalid_grant"}' };
    }
    this.issued += 1;
    const token = {
      access_token: `at-${this.issued}`,
      refresh_token: `rt-${this.issued}`,
      expires_in: this.time.lifeSeconds,
    };
    this.now += this.time.tookMs;
    return { status: 200, body: JSON.stringify(token) };
  }
}

/** The part of a step's result that a server can act on. */
function summary(result: unknown): string {
  if (typeof result !== 'object' || result === null) return String(result);
  const { version, status, refresh, body } = { version: 0, status: '', refresh: {}, body: '', ...result };
  return JSON.stringify([version, status, refresh, body]);
}

const vault = createVault(secret(Buffer.alloc(32, 1)));
const integrationWith = ({ marginSeconds }: Time) =>
  integrationOf(oauth2, {
    token_url: 'https://a.example/t',
    authorization_url: 'https://a.example/a',
    refresh_margin_seconds: marginSeconds,
  });

function firstRow({ leftMs }: Time): ConnectionRow {
  const expiresAt = NOW + leftMs;
  const credentials = {
    access_token: secret('at-0'),
    refresh_token: secret('rt-0'),
    expires_at: expiresAt,
    raw: secret({}),
  };
  return {
    ...KEY,
    authMode: 'OAUTH2',
    sealedCredentials: sealJson(vault, credentials, placeOf(KEY)),
    additionalConfig: '{}',
    tags: '{}',
    requestedScopes: null,
    grantedScopes: null,
    identity: null,
    oauthClientId: null,
    status: 'active',
    statusReason: null,
    expiresAt,
    version: 1,
    dueAt: expiresAt,
    refresh: {
      leasedMs: null,
      retryInMs: null,
      failures: 0,
      lastError: null,
      responseLost: false,
      refusals: 0,
      refusedForMs: null,
    },
    createdAt: NOW,
    updatedAt: NOW,
  };
}

function storeOf(world: World, server: number): Store {
  const step = <T>(label: string, effect: () => T) => world.gate(server, label, effect);
  const store: Partial<Store> = {
    isMigrationFinished: async () => true,
    findConnection: () =>
      step('read', () => {
        const leasedMs = world.holder !== null && !world.leaseRanOut ? 1 : null;
        return { ...world.row, refresh: { ...world.row.refresh, leasedMs } };
      }),
    leaseRefresh: (_key, { holder, version }) =>
      step('lease', () => {
        const free = world.holder === null || world.leaseRanOut;
        if (!free || version !== world.row.version || world.row.status !== 'active') return undefined;
        const responseLost = world.row.refresh.responseLost || world.holder !== null;
        return world.change({ refresh: { ...world.row.refresh, responseLost } }, holder);
      }),
    extendLease: async () => true,
    updateCredentials: (_key, { sealedCredentials, expiresAt }, by) =>
      step('write', () => {
        if (world.row.version !== by?.version || world.holder !== by.holder) return undefined;
        const opened: unknown = JSON.parse(vault.open(sealedCredentials, placeOf(KEY)).reveal());
        world.stored.add(oauth2.storedCredentials.parse(opened).access_token.reveal());
        const refresh = { ...world.row.refresh, responseLost: false };
        return world.change({ sealedCredentials, expiresAt, dueAt: null, version: by.version + 1, refresh }, null);
      }),
    markNeedsReconnect: (_key, { reason, by }) =>
      step('mark', () => {
        if (world.row.version !== by.version || world.holder !== by.holder) return undefined;
        return world.change({ status: 'needs_reconnect', statusReason: reason }, null);
      }),
  };
  return store as Store;
}

// Every read is a step of its own here, so nothing is cached.
const unwatched = { watchConnections: () => ({ confirmedAt: () => 0, close: async () => undefined }) };

function serverOf(world: World, server: number): FreshCredentials {
  let names = 0;
  const integration = integrationWith(world.time);
  const http: OAuthHttp = ({ body }) =>
    world.gate(server, 'ask', () => {
      const { status, body: response } = world.provide(
        new URLSearchParams(revealText(body ?? '')).get('refresh_token') ?? '',
      );
      return { status, contentType: 'application/json', body: secret(response), tookMs: world.time.tookMs };
    });
  const context = {
    store: storeOf(world, server),
    vault,
    unguardedHttp: http,
    now: () => world.now,
    random: () => 0,
    randomToken: () => `${server}-${(names += 1)}`,
    delay: () => world.gate(server, 'wait', () => undefined),
    onRefresh: () => undefined,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    config: () => ({ integrations: new Map([['acme', integration]]) }),
  } as unknown as ConnectionContext;
  return new FreshCredentials(context, new ConnectionCache(unwatched, { size: () => 0, outageMs: () => 0 }));
}

/** Runs once. It follows the `prescribed` choices, and then takes the first option each time. */
async function execute(scenario: Scenario, prescribed: readonly number[], seen: Set<string>): Promise<Execution> {
  const world = new World(scenario);
  const results: (string | undefined)[] = [];
  let running = scenario.servers;
  for (let server = 0; server < scenario.servers; server += 1) {
    const fresh = serverOf(world, server);
    if (scenario.background && server === 0)
      storeOf(world, server)
        .findConnection(KEY)
        .then((row) => row && fresh.refreshAhead(row))
        .catch(() => undefined);
    fresh
      .get(KEY)
      .then(({ credentials }) => (results[server] = revealed(Reflect.get(credentials, 'access_token')) as string))
      .catch((error: unknown) => (results[server] = error instanceof NangoError ? error.code : String(error)))
      .finally(() => (running -= 1));
  }
  const choices: number[] = [];
  const widths: number[] = [];
  for (;;) {
    await new Promise(setImmediate);
    const options = optionsOf(world, scenario);
    if (options.length === 0) break;
    if (choices.length >= prescribed.length) {
      const state = `${world.state()}${results.join()}`;
      if (seen.has(state)) return { choices, widths, world, results, complete: false };
      seen.add(state);
    }
    const choice = prescribed[choices.length] ?? 0;
    choices.push(choice);
    widths.push(options.length);
    options[choice]?.();
  }
  assert.equal(running, world.deaths, `no server waits for ever\n${world.trace.join('\n')}`);
  return { choices, widths, world, results, complete: true };
}

/** What may happen next: a step or the death of any living server, the end of a lease, or a jump of the clock. */
function optionsOf(world: World, { deaths, leasesRunOut }: Scenario): (() => void)[] {
  const alive = world.steps.filter(({ server }) => !world.dead.has(server));
  const steps = alive
    .filter(({ since }) => since === undefined || since < world.changes)
    .map((step) => () => {
      world.steps.splice(world.steps.indexOf(step), 1);
      step.run();
    });
  const dying =
    world.deaths < deaths
      ? alive
          .filter(({ label }) => label !== 'read' && label !== 'wait')
          .map(({ server }) => () => {
            world.deaths += 1;
            world.dead.add(server);
            world.trace.push(`${server} dies`);
          })
      : [];
  // The lease of a dead holder always expires, so that another server continues.
  const holderDead = [...world.dead].some((server) => world.holder?.startsWith(`${server}-`));
  const mayRunOut = world.holder !== null && !world.leaseRanOut && (holderDead || world.runOuts < leasesRunOut);
  const runOut = () => {
    if (!holderDead) world.runOuts += 1;
    world.leaseRanOut = true;
    world.changes += 1;
    world.trace.push('the lease runs out');
  };
  const mayJump = world.time.jumpMs !== 0 && world.jumps === 0;
  const jump = () => {
    world.jumps += 1;
    world.now += world.time.jumpMs;
    world.changes += 1;
    world.trace.push('the clock jumps');
  };
  const happenings = [...(mayRunOut ? [runOut] : []), ...(mayJump ? [jump] : [])];
  return [...steps, ...dying, ...(alive.length > 0 ? happenings : [])];
}

/** Runs and checks all executions. Returns their number. */
async function explore(scenario: Scenario, check: (execution: Execution) => void): Promise<number> {
  let prescribed: number[] | undefined = [];
  const seen = new Set<string>();
  let runs = 0;
  while (prescribed) {
    const execution = await execute(scenario, prescribed, seen);
    runs += 1;
    assert.ok(runs < MAX_RUNS, 'the state space is larger than expected');
    try {
      if (execution.complete) check(execution);
    } catch (error) {
      throw new Error(`After\n${execution.world.trace.join('\n')}`, { cause: error });
    }
    prescribed = nextChoices(execution);
  }
  return runs;
}

/** Returns the next choices in order: the last choice that had another option takes it. */
function nextChoices({ choices, widths }: Execution): number[] | undefined {
  for (let place = choices.length - 1; place >= 0; place -= 1) {
    const next = (choices[place] ?? 0) + 1;
    if (next < (widths[place] ?? 0)) return [...choices.slice(0, place), next];
  }
  return undefined;
}

/** Checks what must hold in every execution. */
function checkSafety({ world, results }: Execution): void {
  const interruptions = world.deaths + world.runOuts;
  assert.ok(world.calls <= 1 + interruptions, `${world.calls} token requests`);
  for (const [server, result] of results.entries()) {
    if (world.dead.has(server)) continue;
    assert.notEqual(result, 'at-0', `server ${server} returned the token that had expired`);
    if (result?.startsWith('at-'))
      assert.ok(world.stored.has(result), `server ${server} returned ${result}, which was not stored`);
    else assert.equal(result, 'needs_reconnect');
  }
  const survivors = results.some((_, server) => !world.dead.has(server));
  if (!survivors) return;
  if (world.grace || interruptions === 0) assert.equal(world.row.status, 'active');
  // A family is lost only if a response was lost and the provider gives no grace. Then the status reason says so.
  if (world.row.status === 'needs_reconnect')
    assert.match(
      world.row.statusReason ?? '',
      /invalid_grant.*An earlier response with new tokens may have been lost/s,
    );
}

for (const [name, scenario] of Object.entries<Scenario>({
  'three servers, no fault': { servers: 3, deaths: 0, leasesRunOut: 0, grace: false },
  'two servers, one dies at any point, the provider gives grace': {
    servers: 2,
    deaths: 1,
    leasesRunOut: 0,
    grace: true,
  },
  'two servers, one dies at any point, the provider gives none': {
    servers: 2,
    deaths: 1,
    leasesRunOut: 0,
    grace: false,
  },
  'two servers, a lease runs out under a living holder, grace': { servers: 2, deaths: 0, leasesRunOut: 1, grace: true },
  'two servers, a lease runs out under a living holder, no grace': {
    servers: 2,
    deaths: 0,
    leasesRunOut: 1,
    grace: false,
  },
  'two servers, one with a background': { servers: 2, deaths: 0, leasesRunOut: 0, grace: false, background: true },
  'two servers, a death and a lease that runs out': { servers: 2, deaths: 1, leasesRunOut: 1, grace: false },
})) {
  test(`R1, R2, R6, every interleaving: ${name}`, async (t) => {
    const runs = await explore(scenario, checkSafety);
    assert.ok(runs > 10);
    t.diagnostic(`${runs} executions`);
  });
}

test('with grace, the tokens that are stored last are the ones that the provider issued last', async () => {
  const scenario = { servers: 2, deaths: 1, leasesRunOut: 0, grace: true };
  await explore(scenario, ({ world, results }) => {
    if (results.every((result) => result === undefined)) return;
    const opened: unknown = JSON.parse(vault.open(world.row.sealedCredentials, placeOf(KEY)).reveal());
    const { refresh_token } = oauth2.storedCredentials.parse(opened);
    assert.equal(refresh_token?.reveal(), `rt-${world.issued}`);
  });
});

/** Checks that the token is refreshed or served, and the grant kept. The provider rejects nothing here. */
function checkNotGivenUp({ world, results }: Execution): void {
  assert.equal(world.row.status, 'active');
  assert.equal(world.revoked, false);
  const isServable = world.time.leftMs > 500 || world.time.jumpMs < 0;
  for (const result of results) {
    assert.ok(result !== undefined && world.stored.has(result), `a server returned ${result}`);
    if (!isServable) assert.notEqual(result, 'at-0');
  }
  assert.ok(world.calls > 0 || isServable, 'the token was refreshed');
}

const DAY = 86_400_000;
/** The milliseconds that responses take, and the seconds that new tokens live. */
const PACES = { prompt: [0, 3600], 'slower than tokens live': [20_000, 10] } as const;

for (const marginSeconds of [0, 60])
  for (const [pace, [tookMs, lifeSeconds]] of Object.entries(PACES))
    test(`D10, every interleaving: margin ${marginSeconds} s, ${pace}, clock jumps: no grant is given up`, async () => {
      // Expired, within the half second in which a token is no longer served, and not yet expired.
      for (const leftMs of [-1, 400, 501])
        for (const jumpMs of [0, DAY, -DAY]) {
          const time = { marginSeconds, leftMs, jumpMs, tookMs, lifeSeconds };
          const calm = { deaths: 0, leasesRunOut: 0, grace: false, time };
          await explore({ ...calm, servers: 1, background: true }, checkNotGivenUp);
          if (leftMs === 400 && jumpMs === DAY) await explore({ ...calm, servers: 2 }, checkNotGivenUp);
        }
    });
