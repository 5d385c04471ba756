import { openConnection, type ConnectionContext } from '../connections/connection-context.ts';
import { findReferenced, type ConnectionReference } from '../connections/connection-reference.ts';
import { withOAuthClient, type OAuthClient } from '../connections/oauth-client.ts';
import { toPublicConnection, type PublicConnection } from '../connections/public-connection.ts';
import { createSeal } from '../connections/sealed-credentials.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { ConnectionRow } from '../store/store.ts';
import { assertUsableClient } from './own-client.ts';

const LEASE_MS = 15_000;
const WAIT_MS = 250;
// A refresh holds its lease for as long as the provider takes, which is seldom more than ten seconds.
const MAX_WAITS = 60;

/**
 * Replaces the secret of a connection's own OAuth app. Tokens belong to the client that they were issued to, so its id
 * stays. A refresh that is in flight ends first, because it would store the secret before. Throws
 * `connection_not_found`, `invalid_request`, and `refresh_failed` if a refresh does not end.
 */
export async function replaceOAuthClient(
  reference: ConnectionReference,
  client: OAuthClient,
  context: ConnectionContext,
): Promise<PublicConnection> {
  for (let waits = 0; waits < MAX_WAITS; waits += 1) {
    const row = await findReferenced(reference, context);
    assertSameClient(row, client);
    const replaced = await replaceIn(row, client, context);
    if (replaced) return toPublicConnection(replaced, context);
    await context.delay(WAIT_MS);
  }
  throw new NangoError('refresh_failed', 'A refresh of this connection did not end. Try again.', { retryAfter: 5 });
}

/** Undefined if a refresh is in flight, or the connection changed meanwhile. */
async function replaceIn(
  row: ConnectionRow,
  client: OAuthClient,
  context: ConnectionContext,
): Promise<ConnectionRow | undefined> {
  const { store, randomToken, now } = context;
  // Checked before the lease: a lease that nobody ends delays refreshes, and looks like a lost response.
  assertUsableClient(withOAuthClient(openConnection(row, context).configured, client));
  const holder = randomToken();
  const isActive = row.status === 'active';
  const held = isActive ? await store.leaseRefresh(row, { holder, version: row.version, lifeMs: LEASE_MS }) : row;
  if (!held) return undefined;
  const { credentials } = openConnection(held, context);
  const seal = await createSeal({ credentials, oauthClient: client }, held, context);
  const { expiresAt, dueAt } = held;
  const change = { sealedCredentials: seal(held.id), expiresAt, dueAt, now: now() };
  return store.updateCredentials(held, change, isActive ? { version: held.version, holder } : undefined);
}

function assertSameClient({ oauthClientId, integration }: ConnectionRow, { clientId }: OAuthClient): void {
  if (oauthClientId === clientId) return;
  throw new NangoError(
    'invalid_request',
    oauthClientId === null
      ? `This connection uses the client of "${integration}". To give it an OAuth app of the customer, ` +
          'connect again with a session that has oauthClient.'
      : `The tokens of this connection belong to the client "${oauthClientId}". To change to another client, ` +
          'connect again with a session that has oauthClient.',
  );
}
