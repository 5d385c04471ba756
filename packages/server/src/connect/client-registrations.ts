import type { ClientRegistrationKey, ClientRegistrations } from '../auth-modes/auth-mode.ts';
import { registeredClientSchema, type RegisteredClient } from '../oauth/discovery/client-registration.ts';
import type { ClientRegistrationRow, Store } from '../store/store.ts';
import type { SealedPlace, Vault } from '../vault/vault.ts';
import { openJson, sealJson } from '../vault/sealed-json.ts';

/** Stores dynamically registered clients, sealed. If two servers register at once, one client is stored. */
export function createClientRegistrations({
  store,
  vault,
  now,
}: {
  store: Store;
  vault: Vault;
  now: () => number;
}): ClientRegistrations {
  const open = (row: ClientRegistrationRow): RegisteredClient =>
    openJson(vault, { sealed: row.sealedClient, place: placeOf(row), schema: registeredClientSchema });
  return {
    async findOrRegister(key, register) {
      const existing = await store.findClientRegistration(key, now());
      if (existing) return open(existing);
      const client = await register();
      const sealedClient = sealJson(vault, client, placeOf(key));
      const stored = await store.keepClientRegistration({ ...key, sealedClient, expiresAt: expiryOf(client) }, now());
      return open(stored);
    },
    forget: (key) => store.deleteClientRegistration(key),
  };
}

/** RFC 7591 §3.2.1: seconds since the epoch, 0 = never. */
function expiryOf({ client_secret_expires_at: seconds = 0 }: RegisteredClient): number | null {
  return seconds === 0 ? null : seconds * 1000;
}

function placeOf({ integration, issuer, redirectUri }: ClientRegistrationKey): SealedPlace {
  return {
    table: 'client_registrations',
    row: JSON.stringify([integration, issuer, redirectUri]),
    column: 'sealed_client',
  };
}
