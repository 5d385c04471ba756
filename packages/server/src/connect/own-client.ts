import type { AdditionalConfig, Integration } from '../auth-modes/auth-mode.ts';
import { authModeOf, type ConnectionContext } from '../connections/connection-context.ts';
import { storedOAuthClientSchema, toStoredClient, type OAuthClient } from '../connections/oauth-client.ts';
import { unrestrictedHostFields } from '../config/chosen-hosts.ts';
import { NangoError } from '../errors/nango-error.ts';
import { openJson, parseSecretJson, sealJson, toSecretJson } from '../vault/sealed-json.ts';
import type { Secret } from '../vault/secret.ts';
import type { SealedPlace } from '../vault/vault.ts';

/**
 * Throws `invalid_request` if an own OAuth app cannot be the client of an Integration. `integration` has it as its
 * client.
 */
export function assertUsableClient(integration: Integration): void {
  const { name, auth, oauthClientSecret } = integration;
  const mode = authModeOf(integration);
  const required = mode.requiredSettings?.(auth) ?? [];
  const has = mode.placeholders['oauth_client_id'] !== undefined;
  if (has && (oauthClientSecret !== undefined || !required.includes('oauth_client_secret'))) return;
  throw new NangoError(
    'invalid_request',
    has
      ? `oauthClient for "${name}" needs a clientSecret.`
      : `"${name}" has auth_mode ${mode.name}, which has no OAuth app.`,
  );
}

/**
 * Throws `invalid_request` if a page could choose the host that receives the secret of an own OAuth app. `config` are
 * the settings of the connection, and `fixed` those that no page chose.
 */
export function assertSecretStays(
  integration: Integration,
  { config, fixed }: { config: AdditionalConfig; fixed: AdditionalConfig },
): void {
  const chosen = unrestrictedHostFields(integration).find(
    (field) => !Object.hasOwn(fixed, field) || fixed[field] !== config[field],
  );
  if (chosen === undefined) return;
  throw new NangoError(
    'invalid_request',
    `config.${chosen} of "${integration.name}" decides which host receives the secret of the customer’s OAuth app. ` +
      'Your back end has to set it, in additionalConfig of the same request.',
  );
}

/** Seals the own OAuth app of a session. */
export function sealSessionClient(
  client: OAuthClient,
  { tokenHash }: { tokenHash: string },
  { vault }: ConnectionContext,
): Uint8Array {
  return sealJson(vault, toStoredClient(client), sessionPlace(tokenHash));
}

/** Opens the own OAuth app of a session; undefined if it has none. Throws `credentials_unreadable`. */
export function openSessionClient(
  { sealedClient, tokenHash }: { sealedClient: Uint8Array | null; tokenHash: string },
  { vault }: ConnectionContext,
): OAuthClient | undefined {
  if (sealedClient === null) return undefined;
  return openJson(vault, { sealed: sealedClient, place: sessionPlace(tokenHash), schema: storedOAuthClientSchema });
}

/** Returns an own OAuth app as one of the secrets of an attempt. */
export function clientSecrets(client: OAuthClient | undefined): Record<string, Secret<string>> {
  return client ? { [CLIENT]: toSecretJson(toStoredClient(client)) } : {};
}

/** Splits the secrets of an attempt into the own OAuth app and the others. Throws `credentials_unreadable`. */
export function splitClient({ [CLIENT]: client, ...secrets }: Readonly<Record<string, Secret<string>>>): {
  readonly client: OAuthClient | undefined;
  readonly secrets: Readonly<Record<string, Secret<string>>>;
} {
  if (client === undefined) return { client: undefined, secrets };
  const parsed = parseSecretJson(client, storedOAuthClientSchema);
  if (parsed) return { client: parsed, secrets };
  throw new NangoError('credentials_unreadable', 'The OAuth app of this authorization cannot be read. Connect again.');
}

const CLIENT = 'oauth_client';

function sessionPlace(tokenHash: string): SealedPlace {
  return { table: 'connect_sessions', row: tokenHash, column: 'sealed_client' };
}
