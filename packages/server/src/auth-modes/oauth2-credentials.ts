import { z } from 'zod';
import { registeredClientSchema } from '../oauth/client-registration.ts';
import type { TokenResponse } from '../oauth/token-response.ts';
import type { BaseCredentials, Integration } from './auth-mode.ts';
import { rawObject } from './credential-schema.ts';
import type { OAuth2Auth } from './oauth2-auth.ts';
import { configuredClientOf, type AuthorizationServer, type OAuth2Client } from './oauth2-server.ts';
import { expiryOf } from './token-fields.ts';

const grantSchema = z.object({
  /** Milliseconds since the epoch at which the token was received; with expires_at it gives the token's life. */
  received_at: z.number(),
  /** Milliseconds that the answer took. */
  took_ms: z.number().default(0),
  /** The authorization server, where it was discovered. */
  issuer: z.string().optional(),
  /** The client, where it was registered dynamically: a later registration would not fit the refresh token. */
  client: registeredClientSchema.optional(),
  /** What was sent as redirect_uri, where refreshing needs it again. */
  redirect_uri: z.string().optional(),
  /** What the user typed in, where it is needed again. */
  entered: rawObject.optional(),
});

/** Credentials as they are stored. */
export const storedOAuth2Credentials = z.object({
  access_token: z.string(),
  refresh_token: z.string().optional(),
  /** Milliseconds since the epoch. */
  expires_at: z.number().optional(),
  refresh_token_expires_at: z.number().optional(),
  grant: grantSchema.optional(),
  raw: rawObject,
});

export type OAuth2Credentials = z.output<typeof storedOAuth2Credentials> & BaseCredentials;

/** How a grant came about, and when. */
interface GrantMemory extends Omit<z.output<typeof grantSchema>, 'received_at' | 'took_ms'> {
  readonly now: number;
}

/** A token response as credentials. `memory` is what renewing them needs beside them. */
export function received(
  response: TokenResponse,
  { auth }: Integration<OAuth2Auth>,
  { now, ...memory }: GrantMemory,
): OAuth2Credentials {
  const { access_token, refresh_token, refresh_token_expires_in: refreshLife, raw } = response;
  return {
    access_token,
    refresh_token,
    expires_at: expiryOf(response, auth, now),
    refresh_token_expires_at: refreshLife === undefined ? undefined : now + Math.floor(refreshLife * 1000),
    grant: { ...memory, received_at: now, took_ms: response.took_ms },
    raw,
  };
}

/** What must be the same when the user comes back, although metadata or registrations may have changed. */
export function rememberServer(
  { oauthClientId }: Integration,
  { server, client }: { server: AuthorizationServer; client: OAuth2Client | undefined },
): Record<string, string> {
  return {
    ...(server.issuer === undefined ? {} : { issuer: server.issuer }),
    ...(oauthClientId === undefined && client ? { client: JSON.stringify(client) } : {}),
  };
}

/** The same, read back, as credentials keep it. */
export function rememberedGrant({ issuer, client }: Record<string, string>): Omit<GrantMemory, 'now'> {
  return {
    ...(issuer === undefined ? {} : { issuer }),
    ...(client === undefined ? {} : { client: registeredClientSchema.parse(JSON.parse(client)) }),
  };
}

/** The client that began the grant. */
export function rememberedClient(integration: Integration, secrets: Record<string, string>): OAuth2Client | undefined {
  return rememberedGrant(secrets).client ?? configuredClientOf(integration);
}
