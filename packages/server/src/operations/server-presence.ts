import { randomUUID } from 'node:crypto';
import type { FastifyBaseLogger } from 'fastify';
import { Periodic } from '../scheduling/periodic.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { LiveServer, ServerPlace, Store } from '../store/store.ts';
import type { Vault } from '../vault/vault.ts';

const EVERY_MS = 10_000;
// A server stays listed if two rounds fail or are late.
const LIVE_MS = 45_000;

interface PresenceOptions {
  readonly store: Store;
  readonly vault: Vault;
  readonly log: FastifyBaseLogger;
  readonly place: ServerPlace;
}

/** Records in the store every ten seconds that this server runs, and the ids of its encryption keys. */
export class ServerPresence {
  readonly #options: PresenceOptions;
  readonly #id = randomUUID();
  readonly #rounds: Periodic;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#rounds = new Periodic({
      everyMs: EVERY_MS,
      random: Math.random,
      task: () => this.#record(),
      onError: (error) => options.log.warn({ err: error }, 'this server could not record that it runs'),
    });
  }

  /** Resolves when other servers and commands can see this server. Throws `store_unavailable`. */
  async start(): Promise<void> {
    const { store, vault, log, place } = this.#options;
    if (store.isEmbedded) assertCanShareFile(await store.liveServers(LIVE_MS), place);
    await this.#record();
    this.#rounds.start();
    const serversLackingKey = await serversWithout(vault.keyId, store);
    if (serversLackingKey.length === 0) return;
    log.warn(
      { servers: serversLackingKey.map(({ name }) => name) },
      'other servers lack the key that this server seals with, so they cannot open what it stores. ' +
        'Start them again with both keys, the old key first ("old,new")',
    );
  }

  async stop(): Promise<void> {
    await this.#rounds.stop();
    // If the database is down, the record expires.
    await this.#options.store.removeServer(this.#id).catch(() => undefined);
  }

  #record(): Promise<void> {
    const { store, vault, place } = this.#options;
    const name = `${place.host} (process ${place.pid})`;
    return store.recordServer({ id: this.#id, name, keyIds: vault.keyIds, place });
  }
}

/** Returns running servers that lack a key, or that do not report their keys because of an earlier release. */
export async function serversWithout(keyId: string, store: Store): Promise<LiveServer[]> {
  const servers = await store.liveServers(LIVE_MS);
  return servers.filter(({ keyIds }) => !keyIds?.includes(keyId));
}

/**
 * Throws `store_unavailable` if a server of another machine or release uses the file. File locks work only between
 * processes of one machine, and the file supports only one release at a time.
 */
function assertCanShareFile(servers: readonly LiveServer[], own: ServerPlace): void {
  for (const { name, place } of servers) {
    const isSame = place?.host === own.host && place.version === own.version;
    if (!place || isSame || isGone(place, own)) continue;
    throw new NangoError(
      'store_unavailable',
      `The embedded store is in use by ${name}, version ${place.version}. Only servers of one machine and ` +
        'one version can share it. Stop that server first. If it was killed, try again in ' +
        `${LIVE_MS / 1000} seconds. Or set DATABASE_URL to use PostgreSQL.`,
    );
  }
}

/** Whether a process of this machine ended without removing its record. */
function isGone({ host, pid }: ServerPlace, own: ServerPlace): boolean {
  if (host !== own.host) return false;
  if (pid === own.pid) return true;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}
