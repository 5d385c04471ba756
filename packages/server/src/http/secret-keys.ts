import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import type { onRequestAsyncHookHandler } from 'fastify';
import { SCOPES, type KeyScope, type NangoConfig } from '../config/nango-config.ts';
import { MAX_SECRET_KEY_LENGTH, parseBearer } from '../config/secret-key-format.ts';
import { NangoError } from '../errors/nango-error.ts';
import { Secret } from '../vault/secret.ts';
import type { ClientAddress } from './client-address.ts';

const WINDOW_MS = 60_000;
const MAX_WRONG_KEYS = 20;
const MAX_ADDRESSES = 10_000;

declare module 'fastify' {
  interface FastifyRequest {
    /** Name of the secret key of this request. */
    caller: string | undefined;
  }
  interface FastifyContextConfig {
    /** The scope that a secret key must have; default `admin`, `any` = every key. */
    scope?: KeyScope | 'any';
  }
}

/** A key, ready for comparison. */
interface ComparableKey {
  readonly name: string;
  readonly bytes: Buffer;
  readonly length: number;
  readonly scopes: ReadonlySet<KeyScope>;
}

/** The requirements of a request. */
export interface KeyRequirement {
  /** `any` = every key is sufficient. */
  readonly scope: KeyScope | 'any';
  /** The request. Its address counts for the limit of wrong keys. */
  readonly from: Pick<IncomingMessage, 'socket' | 'headers'>;
}

/** The parts that {@link SecretKeys} needs. */
export interface SecretKeysOptions {
  /** Keys with every scope: from the environment, or the key file. */
  readonly full: readonly Secret<string>[];
  /** `secret_keys` of nango-config.yaml. Called each time, so that a reload takes effect. */
  readonly configured: () => NangoConfig['secret_keys'];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly clientAddress: ClientAddress;
}

/** The secret keys that callers may have, each with its scopes. Several are valid during a rotation. */
export class SecretKeys {
  readonly #options: SecretKeysOptions;
  readonly #compared = Buffer.alloc(MAX_SECRET_KEY_LENGTH);
  readonly #addresses = new Map<string, { wrong: number; since: number }>();
  #comparable: readonly ComparableKey[] = [];
  #configured: NangoConfig['secret_keys'] | undefined;

  constructor(options: SecretKeysOptions) {
    this.#options = options;
  }

  /**
   * Returns the name of the key in an `Authorization` header. Throws `unauthorized` for a missing or wrong key,
   * `too_many_requests` for a wrong key from an address that sent many, and `insufficient_scope`. A correct key is
   * accepted from every address, because several callers may share an address. Every key is compared over the same
   * number of bytes, so that the time reveals nothing about the keys.
   */
  check(authorization: string | undefined, { scope, from }: KeyRequirement): string {
    const token = bearerToken(authorization);
    const key = token === undefined ? undefined : this.#find(token);
    if (!key) {
      this.#assertAllowed(this.#addressOf(from));
      this.#countWrong(this.#addressOf(from));
      const why = token === undefined ? 'is missing: send it as "Authorization: Bearer <key>"' : 'is wrong';
      throw new NangoError('unauthorized', `The secret key ${why}.`);
    }
    if (isPermitted(key, scope)) return key.name;
    throw new NangoError(
      'insufficient_scope',
      `The secret key "${key.name}" lacks the scope ${scope}. Add it in secret_keys of nango-config.yaml.`,
    );
  }

  /**
   * Returns the name of a key that has the scope; undefined if {@link SecretKeys.check} would throw. Nothing is
   * counted.
   */
  permits(authorization: string | undefined, scope: KeyRequirement['scope']): string | undefined {
    const token = bearerToken(authorization);
    const key = token === undefined ? undefined : this.#find(token);
    return key && isPermitted(key, scope) ? key.name : undefined;
  }

  /** Returns the client's address. For IPv6 it is the network that a provider assigns to one customer. */
  #addressOf(request: KeyRequirement['from']): string {
    const address = this.#options.clientAddress(request);
    const mapped = address.startsWith('::ffff:') ? address.slice(7) : address;
    return isIPv6(mapped) ? networkOf(mapped) : mapped;
  }

  #find(token: Secret<string>): ComparableKey | undefined {
    const text = token.reveal();
    const compared = this.#compared.fill(0);
    const written = compared.write(text);
    const isWhole = text.length <= MAX_SECRET_KEY_LENGTH;
    let match: ComparableKey | undefined;
    for (const key of this.#keys()) {
      if (timingSafeEqual(compared, key.bytes) && written === key.length && isWhole) match = key;
    }
    return match;
  }

  #keys(): readonly ComparableKey[] {
    const configured = this.#options.configured();
    if (configured === this.#configured) return this.#comparable;
    this.#configured = configured;
    const full = this.#options.full.map((key, index) =>
      toComparable(index === 0 ? 'main' : `main-${index + 1}`, [key], SCOPES),
    );
    const named = Object.entries(configured).map(([name, { key, scopes }]) => toComparable(name, key, scopes));
    this.#comparable = [...full, ...named].flat();
    return this.#comparable;
  }

  #assertAllowed(address: string): void {
    const seen = this.#addresses.get(address);
    if (!seen || seen.wrong < MAX_WRONG_KEYS) return;
    const now = this.#options.now();
    const leftMs = seen.since + WINDOW_MS - now;
    if (leftMs <= 0) return;
    throw new NangoError('too_many_requests', 'Too many wrong keys came from this address. Try again later.', {
      retryAfter: Math.ceil(leftMs / 1000),
    });
  }

  #countWrong(address: string): void {
    const now = this.#options.now();
    const seen = this.#addresses.get(address) ?? { wrong: 0, since: now };
    if (now - seen.since >= WINDOW_MS) Object.assign(seen, { wrong: 0, since: now });
    seen.wrong += 1;
    // The map is ordered by the last wrong key of each address. The oldest entry is removed first.
    this.#addresses.delete(address);
    this.#addresses.set(address, seen);
    const [oldest] = this.#addresses.keys();
    if (this.#addresses.size > MAX_ADDRESSES && oldest !== undefined) this.#addresses.delete(oldest);
  }
}

function isPermitted({ scopes }: ComparableKey, scope: KeyRequirement['scope']): boolean {
  return scope === 'any' || scopes.has(scope) || scopes.has('admin');
}

function toComparable(name: string, keys: readonly Secret<string>[], scopes: readonly KeyScope[]): ComparableKey[] {
  return keys.map((key) => {
    const bytes = Buffer.alloc(MAX_SECRET_KEY_LENGTH);
    const length = bytes.write(key.reveal());
    return { name, bytes, length, scopes: new Set(scopes) };
  });
}

/** Returns the token of an `Authorization: Bearer` header (RFC 6750 §2.1); undefined if there is none. */
export function bearerToken(authorization: string | undefined): Secret<string> | undefined {
  const token = parseBearer(authorization ?? '');
  return token === undefined ? undefined : new Secret(token);
}

/** The first 64 bits of an IPv6 address, with the zeros that `::` stands for (RFC 4291 §2.2). */
function networkOf(address: string): string {
  const [before = [], after = []] = address.split('::').map((part) => part.split(':').filter(Boolean));
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0');
  return [...before, ...zeros, ...after].slice(0, 4).join(':');
}

/** Rejects requests without a secret key that has the scope of the route's `config.scope`. */
export function requireSecretKey(keys: SecretKeys): onRequestAsyncHookHandler {
  return async (request) => {
    const { scope = 'admin' } = request.routeOptions.config;
    request.caller = keys.check(request.headers.authorization, { scope, from: request.raw });
  };
}
