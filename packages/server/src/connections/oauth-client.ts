import { z } from 'zod';
import type { Integration } from '../auth-modes/auth-mode.ts';
import { Secret } from '../vault/secret.ts';
import { secretText } from '../vault/secret-text.ts';

const MAX_ID = 2_000;
// A private key in PEM is the longest secret.
const MAX_SECRET = 20_000;

/** A customer's own OAuth app, in place of the Integration's client. */
export interface OAuthClient {
  readonly clientId: string;
  readonly clientSecret: Secret<string> | undefined;
}

/** The schema of an own OAuth app in requests. */
export const oauthClientSchema = z
  .strictObject({
    clientId: z
      .string()
      .min(1)
      .max(MAX_ID)
      .regex(/^\P{Cc}+$/u, 'must not hold control characters'),
    clientSecret: secretText(MAX_SECRET, { min: 1 }).optional(),
  })
  .transform(({ clientId, clientSecret }): OAuthClient => ({ clientId, clientSecret }))
  .describe('The customer’s own OAuth app, in place of oauth_client_id and oauth_client_secret of the Integration');

/** The schema of a stored own OAuth app. */
export const storedOAuthClientSchema = z
  .object({ client_id: z.string(), client_secret: z.string().optional() })
  .transform(({ client_id, client_secret }): OAuthClient => {
    return { clientId: client_id, clientSecret: client_secret === undefined ? undefined : new Secret(client_secret) };
  });

/** Returns an own OAuth app as it is stored. The result must be sealed. */
export function toStoredClient({ clientId, clientSecret }: OAuthClient) {
  return { client_id: clientId, ...(clientSecret === undefined ? {} : { client_secret: clientSecret }) };
}

/** Returns the Integration with an own OAuth app as its client. Nothing of the Integration's client remains. */
export function withOAuthClient(integration: Integration, client: OAuthClient | undefined): Integration {
  return client
    ? { ...integration, oauthClientId: client.clientId, oauthClientSecret: client.clientSecret }
    : integration;
}
