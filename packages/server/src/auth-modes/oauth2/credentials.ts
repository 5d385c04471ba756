import { z } from 'zod';
import { registeredClientSchema } from '../../oauth/discovery/client-registration.ts';
import type { TokenResponse } from '../../oauth/token-response.ts';
import type { BaseCredentials, Integration, JsonObject } from '../auth-mode.ts';
import { storedRaw, storedSecret, storedTime } from '../credential-schema.ts';
import type { OAuth2Auth } from './auth-fields.ts';
import type { AuthorizationServer, OAuth2Client } from './server.ts';
import { expiryOf } from '../token-fields.ts';
import { NangoError } from '../../errors/nango-error.ts';
import { parseSecretJson, toSecretJson } from '../../vault/sealed-json.ts';
import { Secret } from '../../vault/secret.ts';

const grantSchema = z.object({
  /** When the token was received, in milliseconds since the epoch. With expires_at it gives the token's lifetime. */
  received_at: z.number(),
  /** Milliseconds that the response took. */
  took_ms: z.number().default(0),
  /** Assumed expiry, if the response named none: the lifetime of the previous token is assumed. */
  assumed_expires_at: storedTime.optional(),
  /** The authorization server, if it was discovered. */
  issuer: z.string().optional(),
  /** The client, if it was registered dynamically: a later registration would not fit the refresh token. */
  client: registeredClientSchema.optional(),
  /** The redirect_uri that was sent, if refreshing needs it again. */
  redirect_uri: z.string().optional(),
  /** The values that the user was prompted for, if they are needed again. */
  prompted: storedRaw.optional(),
});

/** Stored credentials. */
export const storedOAuth2Credentials = z.object({
  access_token: storedSecret,
  refresh_token: storedSecret.optional(),
  /** Milliseconds since the epoch. */
  expires_at: storedTime.optional(),
  refresh_token_expires_at: storedTime.optional(),
  grant: grantSchema.optional(),
  raw: storedRaw,
});

/** Parsed stored credentials. */
export type OAuth2Credentials = z.output<typeof storedOAuth2Credentials> & BaseCredentials;

/** How and when a grant was made. */
interface GrantDetails extends Omit<z.output<typeof grantSchema>, 'received_at' | 'took_ms' | 'assumed_expires_at'> {
  readonly now: number;
}

/**
 * Turns a token response into credentials. The details are stored, because a refresh needs them. If the response
 * refreshes `earlier` credentials, values that it omits are kept.
 */
export function credentialsFrom(
  response: TokenResponse,
  { auth }: Integration<OAuth2Auth>,
  { now, earlier, ...details }: GrantDetails & { readonly earlier?: OAuth2Credentials },
): OAuth2Credentials {
  const { access_token, refresh_token, refresh_token_expires_in: refreshLife, raw } = response;
  const credentials = {
    access_token,
    refresh_token,
    expires_at: expiryOf(response, auth, now),
    refresh_token_expires_at: refreshLife === undefined ? undefined : now + Math.floor(refreshLife * 1000),
    grant: { ...details, received_at: now, took_ms: response.took_ms },
    raw,
  };
  return earlier ? withEarlierValues(credentials, earlier) : credentials;
}

/**
 * Adds values that the response omitted to refreshed credentials: the refresh token's lifetime if the token stays, the
 * access token's lifetime, and members of `raw`.
 */
function withEarlierValues(refreshed: OAuth2Credentials, earlier: OAuth2Credentials): OAuth2Credentials {
  const isSame = refreshed.refresh_token?.equals(earlier.refresh_token) ?? earlier.refresh_token === undefined;
  const stays = isSame && refreshed.refresh_token_expires_at === undefined;
  const { grant } = refreshed;
  const life = lifeOf(earlier);
  const isLifeUnknown = refreshed.expires_at === undefined && grant !== undefined && life !== undefined;
  return {
    ...refreshed,
    ...(stays ? { refresh_token_expires_at: earlier.refresh_token_expires_at } : {}),
    ...(isLifeUnknown ? { grant: { ...grant, assumed_expires_at: grant.received_at + life } } : {}),
    raw: refreshed.raw.map((raw) => ({ ...withoutLifetimes(earlier.raw.reveal()), ...raw })),
  };
}

/** Removes lifetimes, because the lifetime in an earlier response is not that of the next token. */
function withoutLifetimes({ expires_in: _life, expires_at: _end, ...raw }: JsonObject): JsonObject {
  return raw;
}

/** Returns the token's lifetime in milliseconds, from its response or assumed; undefined = unknown. */
function lifeOf({ expires_at, grant }: OAuth2Credentials): number | undefined {
  const end = expires_at ?? grant?.assumed_expires_at;
  return end === undefined || grant === undefined ? undefined : Math.max(end - grant.received_at, 0);
}

/** Returns the values that must stay the same until the callback, even if metadata or registrations change. */
export function secretsOfServer(
  { oauthClientId }: Integration,
  { server, client }: { server: AuthorizationServer; client: OAuth2Client | undefined },
): Record<string, Secret<string>> {
  return {
    ...(server.issuer === undefined ? {} : { issuer: new Secret(server.issuer) }),
    ...(oauthClientId === undefined && client ? { client: toSecretJson(client) } : {}),
  };
}

/** Reads the values of {@link secretsOfServer} as the grant of credentials. Throws `credentials_unreadable`. */
export function grantFromSecrets({
  issuer,
  client,
}: Readonly<Record<string, Secret<string>>>): Omit<GrantDetails, 'now'> {
  return {
    ...(issuer === undefined ? {} : { issuer: issuer.reveal() }),
    ...(client === undefined ? {} : { client: parseClient(client) }),
  };
}

function parseClient(text: Secret<string>): z.output<typeof registeredClientSchema> {
  const client = parseSecretJson(text, registeredClientSchema);
  if (client) return client;
  throw new NangoError(
    'credentials_unreadable',
    'The registered client that was stored for this authorization cannot be read. Connect again.',
  );
}
