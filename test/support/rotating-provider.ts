import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { listen } from './listen.ts';
import type { Cleanup } from './temporary-folder.ts';

// Half of the life, less the fifth of it by which a background refresh may be early, and some slack.
const EARLIEST = 0.65;

/** One grant at the provider, and all of its tokens. */
interface Family {
  readonly name: string;
  /** Whether the previous refresh token is accepted until the new one is used. */
  readonly grace: boolean;
  refreshToken: string;
  previous: string | undefined;
  accessExpiresAt: number;
  accessLife: number;
  /** The time of the last response. This part of the token’s life may have passed before it was read. */
  responseTook: number;
  revoked: boolean;
  /** The last access token until a caller shows it. Only then it is known that the token was stored. */
  unseen: string | undefined;
  /** Whether a response with new tokens was truncated, or its reader died before anybody saw them. */
  responseLost: boolean;
}

/** The provider’s counters. */
export interface ProviderCounts {
  /** Responses with new tokens. */
  rotated: number;
  /** Of these, responses to a refresh token before the last. */
  grace: number;
  failed: number;
  cut: number;
  /** Rotations of a token that was far from its expiry, although nothing had failed. */
  needless: number;
  /** Previous refresh tokens that were sent again and revoked their family. */
  reused: number;
}

/** A provider with rotating refresh tokens, reuse detection, short lives, and configured delays and failures. */
export interface RotatingProvider {
  readonly url: string;
  readonly counts: ProviderCounts;
  readonly families: ReadonlyMap<string, Family>;
  /** Begins a grant. Resolves to its first tokens. */
  grant(name: string, grace: boolean): { access_token: string; refresh_token: string; expires_at: number };
  /** The connection of an access token that a caller got, and its expiry. */
  see(accessToken: string): { family: string; expiresAt: number } | undefined;
  /** Notes that a server was killed. Tokens that nobody has seen may be lost with it. */
  serverDied(): void;
  /** Ends every failure, so that requests in flight can settle. */
  heal(): void;
}

export async function startRotatingProvider(
  cleanup: Cleanup,
  { failureRate, lifeMs, delayMs = () => 0 }: { failureRate: number; lifeMs: () => number; delayMs?: () => number },
): Promise<RotatingProvider> {
  const counts: ProviderCounts = { rotated: 0, grace: 0, failed: 0, cut: 0, needless: 0, reused: 0 };
  const families = new Map<string, Family>();
  const byRefreshToken = new Map<string, Family>();
  const accessTokens = new Map<string, { family: string; expiresAt: number }>();
  const hanging: ServerResponse[] = [];
  let failing = true;
  let lastDeath = 0;

  function rotate(family: Family, used: string) {
    const life = lifeMs();
    const access_token = `at-CANARY-${randomUUID()}`;
    family.previous = used;
    family.unseen = access_token;
    family.refreshToken = `rt-CANARY-${randomUUID()}`;
    family.accessExpiresAt = Date.now() + life;
    family.accessLife = life;
    byRefreshToken.set(family.refreshToken, family);
    accessTokens.set(access_token, { family: family.name, expiresAt: family.accessExpiresAt });
    return { access_token, refresh_token: family.refreshToken, token_type: 'bearer', expires_in: life / 1000 };
  }

  function refresh(refreshToken: string): { status: number; body: object } {
    const family = byRefreshToken.get(refreshToken);
    const known =
      family && (refreshToken === family.refreshToken || (family.grace && refreshToken === family.previous));
    if (!family || family.revoked || !known) {
      if (family && !family.revoked) {
        counts.reused += 1;
        family.revoked = true;
      }
      return { status: 400, body: { error: 'invalid_grant' } };
    }
    counts.rotated += 1;
    if (refreshToken === family.previous) counts.grace += 1;
    else if (
      family.accessExpiresAt - Date.now() - family.responseTook > family.accessLife * EARLIEST &&
      !family.responseLost
    )
      counts.needless += 1;
    return { status: 200, body: rotate(family, refreshToken) };
  }

  /** Half of the responses wait before the tokens are made, the others after that. */
  async function answer(refreshToken: string, response: ServerResponse): Promise<void> {
    const asked = Date.now();
    const chance = failing ? Math.random() : 1;
    const waits = failing ? delayMs() : 0;
    const before = Math.random() < 0.5 ? waits : 0;
    await delay(before);
    const send = (status: number, body: object, headers = {}) =>
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
    if (chance < failureRate * 0.4) return void ((counts.failed += 1), send(500, { error: 'server_error' }));
    if (chance < failureRate * 0.7)
      return void ((counts.failed += 1), send(429, { error: 'slow_down' }, { 'retry-after': '1' }));
    if (chance < failureRate * 0.75) return void ((counts.failed += 1), hanging.push(response));
    const { status, body } = refresh(refreshToken);
    const family = byRefreshToken.get(refreshToken);
    // The client may have died while the response was in flight.
    if (family && lastDeath >= asked) family.responseLost = true;
    await delay(waits - before);
    if (family) family.responseTook = Date.now() - asked;
    if (chance >= failureRate) return void send(status, body);
    counts.cut += 1;
    if (family) family.responseLost = true;
    response.destroy();
  }

  const server = createServer(async (request, response) => {
    const form = new URLSearchParams(await readText(request));
    await answer(form.get('refresh_token') ?? '', response);
  });
  const url = `http://localhost:${await listen(cleanup, server)}`;
  return {
    url,
    counts,
    families,
    see(accessToken) {
      const token = accessTokens.get(accessToken);
      const family = families.get(token?.family ?? '');
      if (family?.unseen === accessToken) {
        family.unseen = undefined;
        family.responseLost = false;
      }
      return token;
    },
    serverDied() {
      lastDeath = Date.now();
      for (const family of families.values()) if (family.unseen !== undefined) family.responseLost = true;
    },
    heal() {
      failing = false;
      for (const response of hanging) response.destroy();
    },
    grant(name, grace) {
      const refreshToken = `rt-CANARY-${randomUUID()}`;
      const family: Family = {
        name,
        grace,
        refreshToken,
        previous: undefined,
        unseen: undefined,
        accessExpiresAt: 0,
        accessLife: 0,
        responseTook: 0,
        revoked: false,
        responseLost: false,
      };
      families.set(name, family);
      byRefreshToken.set(refreshToken, family);
      const { access_token, refresh_token } = rotate(family, refreshToken);
      // The age of the token at its registration is unknown, so it may be refreshed at any time.
      family.accessLife = Number.POSITIVE_INFINITY;
      return { access_token, refresh_token, expires_at: family.accessExpiresAt };
    },
  };
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
