import type { AuthModeContext, Authorized } from '../auth-mode.ts';
import { configFromResponse } from '../config-from-provider.ts';
import { takeSteps } from '../connect-steps.ts';
import { completeIdentity, identityFrom } from '../identity.ts';
import { oauth2StepMode } from './configured-requests.ts';
import type { OAuth2Credentials } from './credentials.ts';
import { scopesOf, type AuthorizationServer, type OAuth2Owner } from './server.ts';

/** What a token response and the steps after it result in. `config` holds what the callback supplied. */
export async function authorizedBy(
  { credentials, config }: Pick<Authorized<OAuth2Credentials>, 'credentials' | 'config'>,
  { owner, server, context }: { owner: OAuth2Owner; server: AuthorizationServer; context: AuthModeContext },
): Promise<Authorized<OAuth2Credentials>> {
  const { integration } = owner;
  const response = credentials.raw.reveal();
  const begun = {
    credentials,
    config: { ...config, ...configFromResponse(integration, response) },
    identity: identityFrom(response, integration.auth.identity),
  };
  const taken = await takeSteps(owner, begun, { mode: oauth2StepMode(owner, context), context });
  return {
    ...taken,
    identity: completeIdentity(taken.identity),
    requestedScopes: scopesOf(integration, server),
  };
}
