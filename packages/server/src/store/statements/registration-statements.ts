import type { Kysely, Selectable } from 'kysely';
import type { Database } from '../database.ts';
import type { ClientRegistrationRow, Store } from '../store.ts';

type Statements = Pick<Store, 'findClientRegistration' | 'keepClientRegistration' | 'deleteClientRegistration'>;

/** Statements about dynamically registered clients. Their key is Integration, issuer and redirect URI. */
export function registrationStatements(db: Kysely<Database>): Statements {
  const select = ({
    integration,
    issuer,
    redirectUri,
  }: Pick<ClientRegistrationRow, 'integration' | 'issuer' | 'redirectUri'>) =>
    db
      .selectFrom('client_registrations')
      .selectAll()
      .where('integration', '=', integration)
      .where('issuer', '=', issuer)
      .where('redirect_uri', '=', redirectUri);
  return {
    async findClientRegistration(key, now) {
      const row = await select(key).executeTakeFirst();
      return row && (row.expires_at === null || row.expires_at > now) ? toRegistration(row) : undefined;
    },
    async keepClientRegistration({ integration, issuer, redirectUri, sealedClient, expiresAt }, now) {
      const change = { sealed_client: sealedClient, expires_at: expiresAt };
      await db
        .insertInto('client_registrations')
        .values({ integration, issuer, redirect_uri: redirectUri, ...change })
        .onConflict((conflict) =>
          conflict
            .columns(['integration', 'issuer', 'redirect_uri'])
            .doUpdateSet(change)
            .where('client_registrations.expires_at', '<=', now),
        )
        .execute();
      return toRegistration(await select({ integration, issuer, redirectUri }).executeTakeFirstOrThrow());
    },
    async deleteClientRegistration({ integration, issuer, redirectUri }) {
      await db
        .deleteFrom('client_registrations')
        .where('integration', '=', integration)
        .where('issuer', '=', issuer)
        .where('redirect_uri', '=', redirectUri)
        .execute();
    },
  };
}

function toRegistration(row: Selectable<Database['client_registrations']>): ClientRegistrationRow {
  return {
    integration: row.integration,
    issuer: row.issuer,
    redirectUri: row.redirect_uri,
    sealedClient: row.sealed_client,
    expiresAt: row.expires_at,
  };
}
