import type { BaseCredentials, JsonValue } from '../auth-modes/auth-mode.ts';
import { z } from 'zod';
import { jsonValue } from '../formats/parse-json.ts';
import {
  connectionKeyText,
  DEFAULT_ACCOUNT,
  type ConnectionKey,
  type ConnectionRow,
  type Store,
} from '../store/store.ts';
import { storedOAuthClientSchema, toStoredClient, type OAuthClient } from './oauth-client.ts';
import { parseSecretJson, toSecretJson } from '../vault/sealed-json.ts';
import type { Secret } from '../vault/secret.ts';
import { unreadable, type SealedPlace, type Vault } from '../vault/vault.ts';

/** A connection's sealed credentials, and what they are bound to. */
export type SealedRow = Pick<ConnectionRow, 'id' | 'integration' | 'userId' | 'account' | 'sealedCredentials'>;

/** What is sealed of a connection. */
export interface Sealable {
  readonly credentials: BaseCredentials;
  /** The customer's own OAuth app; undefined = the Integration's client. */
  readonly oauthClient?: OAuthClient | undefined;
}

/**
 * Returns the function that seals credentials for a connection of a key and an id. Both are bound to the ciphertext, so
 * credentials of two accounts cannot be exchanged in the database. Until the migration is finished only the key is
 * bound, so that servers of the release before can open the credentials.
 */
export async function createSeal(
  { credentials, oauthClient }: Sealable,
  key: ConnectionKey,
  { store, vault }: { store: Pick<Store, 'isMigrationFinished'>; vault: Vault },
): Promise<(id: string) => Uint8Array> {
  const client = oauthClient ? { [CLIENT]: toStoredClient(oauthClient) } : {};
  const plaintext = toSecretJson({ ...credentials, ...client });
  const isFinished = await store.isMigrationFinished();
  return (id) => vault.seal(plaintext, isFinished ? placeOf({ ...key, id }) : earlierPlaceOf(key));
}

/** Opens a row's credentials. Throws `credentials_unreadable`, which quotes no text of them. */
export function openCredentials<Schema extends z.ZodType>(
  row: SealedRow,
  { vault, schema }: { vault: Vault; schema: Schema },
): z.output<Schema> {
  const { plaintext, place } = openSealed(row, vault);
  const parsed = parseSecretJson(plaintext, schema);
  if (parsed === undefined) throw unreadable(place, 'its content does not have the expected format');
  return parsed;
}

/** Opens a connection's own OAuth app; undefined if it has none. Throws `credentials_unreadable`. */
export function openOAuthClient(
  row: SealedRow & Pick<ConnectionRow, 'oauthClientId'>,
  vault: Vault,
): OAuthClient | undefined {
  // Most connections have none, and opening takes time.
  if (row.oauthClientId === null) return undefined;
  return openCredentials(row, { vault, schema: clientSchema })[CLIENT];
}

/** Returns the own OAuth app in opened credentials of an export; undefined if there is none. Throws a ZodError. */
export function oauthClientIn(plain: Record<string, JsonValue>): OAuthClient | undefined {
  return z.object({ [CLIENT]: storedOAuthClientSchema.optional() }).parse(plain)[CLIENT];
}

/** Opens a row's credentials, whatever its auth mode. Throws `credentials_unreadable`. */
export function openStoredCredentials(row: SealedRow, vault: Vault): Record<string, JsonValue> {
  return openCredentials(row, { vault, schema: storedCredentialsSchema });
}

/** What opening sealed credentials resulted in. */
interface Opened {
  readonly plaintext: Secret<string>;
  /** What the ciphertext is bound to. */
  readonly place: SealedPlace;
  /** Whether that includes the connection's id. */
  readonly bindsId: boolean;
}

/** Opens a row's credentials as text. Throws `credentials_unreadable`. */
export function openSealed(row: SealedRow, vault: Vault): Opened {
  const place = placeOf(row);
  try {
    return { place, plaintext: vault.open(row.sealedCredentials, place), bindsId: true };
  } catch (error) {
    // Only a default account can be of an earlier release.
    if (row.account !== DEFAULT_ACCOUNT) throw error;
    const earlier = earlierPlaceOf(row);
    return { place: earlier, plaintext: vault.open(row.sealedCredentials, earlier), bindsId: false };
  }
}

/** The place that binds a connection's key and id. */
export function placeOf({ integration, userId, account, id }: Omit<SealedRow, 'sealedCredentials'>): SealedPlace {
  return { ...COLUMN, row: JSON.stringify([integration, userId, account, id]) };
}

/** The place that earlier releases bind. */
function earlierPlaceOf(key: ConnectionKey): SealedPlace {
  return { ...COLUMN, row: connectionKeyText(key) };
}

const COLUMN = { table: 'connections', column: 'sealed_credentials' };
// No auth mode has a credential of this name.
const CLIENT = 'oauth_client';
const clientSchema = z.object({ [CLIENT]: storedOAuthClientSchema });
const storedCredentialsSchema = z.record(z.string(), jsonValue);
