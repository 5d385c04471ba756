import { z } from 'zod';
import { CONNECTION_SCOPE, type Fields } from '../schema/fields.ts';
import type { AuthMode, BaseCredentials } from './auth-mode.ts';
import { credentialText, keepRaw, rawObject } from './credential-schema.ts';

interface OAuth1Credentials extends BaseCredentials {
  readonly oauth_token: string;
  readonly oauth_token_secret: string;
}

/** The keys of `auth` under OAUTH1; `docs/reference/integrations.md` describes each. */
function oauth1Shape(fields: Fields) {
  const method = () => fields.choice(['POST', 'GET', 'PUT']).default('POST');
  return {
    request_url: fields.url(CONNECTION_SCOPE).describe('Temporary credential request endpoint (RFC 5849 §2.1)'),
    request_params: fields.params(CONNECTION_SCOPE).default({}).describe('Added to the temporary credential request'),
    request_http_method: method().describe('HTTP method of the temporary credential request'),
    authorization_url: fields.url(CONNECTION_SCOPE).describe('Resource owner authorization endpoint (RFC 5849 §2.2)'),
    authorization_params: fields.params(CONNECTION_SCOPE).default({}).describe('Added to the authorization URL'),
    scope_separator: z.string().max(8).default(' ').describe('Joins oauth_scopes'),
    default_scopes: z.array(fields.text()).optional().describe('Used where the Integration names no oauth_scopes'),
    token_url: fields.url(CONNECTION_SCOPE).describe('Token request endpoint (RFC 5849 §2.3)'),
    token_params: fields.params(CONNECTION_SCOPE).default({}).describe('Added to the token request'),
    token_http_method: method().describe('HTTP method of the token request'),
    signature_method: fields.choice(['HMAC-SHA1', 'RSA-SHA1', 'PLAINTEXT']).describe('RFC 5849 §3.4'),
  };
}

type OAuth1Auth = z.output<z.ZodObject<ReturnType<typeof oauth1Shape>>> & { readonly auth_mode: 'OAUTH1' };

/** `OAUTH1`: OAuth 1.0a (RFC 5849). */
export const oauth1: AuthMode<OAuth1Auth, OAuth1Credentials> = {
  name: 'OAUTH1',
  usesOAuthClient: true,
  authShape: oauth1Shape,
  credentialsInput: z
    .looseObject({ oauth_token: credentialText, oauth_token_secret: credentialText })
    .transform((given) => ({
      oauth_token: given.oauth_token,
      oauth_token_secret: given.oauth_token_secret,
      raw: keepRaw(given),
    })),
  storedCredentials: z.object({ oauth_token: z.string(), oauth_token_secret: z.string(), raw: rawObject }),
  placeholders: {
    oauth_token: (credentials) => credentials.oauth_token,
    oauth_token_secret: (credentials) => credentials.oauth_token_secret,
    oauth_client_id: (_, integration) => integration.oauthClientId ?? '',
    oauth_client_secret: (_, integration) => integration.oauthClientSecret?.reveal() ?? '',
  },
};
