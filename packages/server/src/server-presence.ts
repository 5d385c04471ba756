import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { FastifyBaseLogger } from 'fastify';
import { Periodic } from './periodic.ts';
import type { LiveServer, Store } from './store/store.ts';
import type { Vault } from './vault/vault.ts';

const EVERY_MS = 10_000;
/** Two rounds may fail, or come late. */
const LIVE_MS = 45_000;

interface PresenceOptions {
  readonly store: Store;
  readonly vault: Vault;
  readonly log: FastifyBaseLogger;
}

/** Records in the store, again and again, that this server runs and which encryption keys it holds: never a key. */
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

  /** Resolves when other servers and commands know of this one. */
  async start(): Promise<void> {
    const { store, vault, log } = this.#options;
    await this.#record();
    this.#rounds.start();
    const lacking = await serversWithout(vault.keyId, store);
    if (lacking.length === 0) return;
    log.warn(
      { servers: lacking.map(({ name }) => name) },
      'other servers do not hold the key that this one seals with: they cannot open what it stores. Start them again with both keys, the old one first ("old,new")',
    );
  }

  async stop(): Promise<void> {
    await this.#rounds.stop();
    // Where the database is away, the record runs out by itself.
    await this.#options.store.removeServer(this.#id).catch(() => undefined);
  }

  #record(): Promise<void> {
    const { store, vault } = this.#options;
    const name = `${hostname()} (process ${process.pid})`;
    return store.recordServer({ id: this.#id, name, keyIds: vault.keyIds });
  }
}

/** Servers that run and do not hold a key, or are of an earlier release and do not say. */
export async function serversWithout(keyId: string, store: Store): Promise<LiveServer[]> {
  const servers = await store.liveServers(LIVE_MS);
  return servers.filter(({ keyIds }) => !keyIds?.includes(keyId));
}
