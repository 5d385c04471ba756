import { NangoError } from '../../errors/nango-error.ts';
import { excerpt } from '../../oauth/oauth-error.ts';
import { processTokenResponse } from '../../oauth/token-response.ts';
import type { AuthModeContext } from '../auth-mode.ts';
import type { AuthValueSources } from '../auth-values.ts';
import type { StepMode } from '../connect-steps.ts';
import { sendConfigured, sentSecrets, type ConfiguredRequest } from '../configured-request.ts';
import { credentialsFrom, type OAuth2Credentials } from './credentials.ts';
import type { OAuth2Owner } from './server.ts';
import { responseFormat } from '../token-fields.ts';
import { Secret } from '../../vault/secret.ts';
import { isSuccess } from '../../formats/http-status.ts';

// Requests that a Blueprint configures, for providers that do not follow the RFC's request.

/** Returns the parts of steps that follow an OAuth 2.0 token response. */
export function oauth2StepMode({ integration }: OAuth2Owner, { now }: Pick<AuthModeContext, 'now'>) {
  return {
    named: ({ access_token }) => ({ access_token }),
    exchange(httpResponse, before, secrets) {
      const response = processTokenResponse(httpResponse, responseFormat(integration.auth, undefined), secrets);
      const { grant, raw, refresh_token, refresh_token_expires_at } = before;
      const exchanged = credentialsFrom(response, integration, { ...grant, now: now() });
      const kept = exchanged.refresh_token === undefined ? { refresh_token, refresh_token_expires_at } : {};
      return { ...exchanged, ...kept, raw: raw.map((members) => ({ ...members, ...exchanged.raw.reveal() })) };
    },
  } satisfies StepMode<OAuth2Credentials>;
}

/** The credentials that a configured request uses. */
interface ConfiguredCall {
  readonly owner: OAuth2Owner;
  readonly credentials: OAuth2Credentials;
  readonly context: AuthModeContext;
}

/** Refreshes tokens with `auth.refresh_request`. If the response has no refresh token, the previous one stays valid. */
export async function refreshAsConfigured(
  request: ConfiguredRequest,
  call: ConfiguredCall,
): Promise<OAuth2Credentials> {
  const { credentials, context } = call;
  const { integration } = call.owner;
  const sources = sourcesOf(call);
  const httpResponse = await sendConfigured(request, { sources }, context);
  const response = processTokenResponse(
    httpResponse,
    responseFormat(integration.auth, undefined),
    sentSecrets(sources),
  );
  const { refresh_token = credentials.refresh_token } = response;
  const grant = { ...credentials.grant, now: context.now(), earlier: credentials };
  return credentialsFrom({ ...response, refresh_token }, integration, grant);
}

/** Revokes tokens with `auth.revocation_request`. Throws `provider_error` if the provider refuses. */
export async function revokeAsConfigured(request: ConfiguredRequest, call: ConfiguredCall): Promise<void> {
  const sources = sourcesOf(call);
  const { status, body } = await sendConfigured(request, { sources }, call.context);
  if (isSuccess(status)) return;
  const detail = excerpt(body, sentSecrets(sources));
  throw new NangoError(
    'provider_error',
    `The provider responded to the revocation request with status ${status}: ${detail || '(empty)'}`,
  );
}

function sourcesOf({ owner: { integration, config }, credentials }: ConfiguredCall): AuthValueSources {
  const { access_token, refresh_token, raw } = credentials;
  const named = {
    access_token,
    ...(refresh_token === undefined ? {} : { refresh_token }),
    oauth_client_basic_encoded: basicOf(integration),
  };
  return { integration, config, raw, named };
}

/** Returns Basic credentials (RFC 7617 §2), not form-encoded. */
function basicOf({
  oauthClientId = '',
  oauthClientSecret = new Secret(''),
}: OAuth2Owner['integration']): Secret<string> {
  return oauthClientSecret.map((secret) => Buffer.from(`${oauthClientId}:${secret}`).toString('base64'));
}
