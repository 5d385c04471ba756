import type { AuthModeContext, Authorized } from '../auth-mode.ts';
import type { ResponseParameters } from '../../oauth/authorization-response.ts';
import { configFromProvider } from '../config-from-provider.ts';
import { takeSteps } from '../connect-steps.ts';
import { completeIdentity, identityFrom } from '../identity.ts';
import { oauth2StepMode } from './configured-requests.ts';
import type { OAuth2Credentials } from './credentials.ts';
import { scopesOf, type AuthorizationServer, type OAuth2Owner } from './server.ts';

/** What a provider sent. `callback` is undefined if no browser took part. */
interface Granted {
  readonly credentials: OAuth2Credentials;
  readonly callback?: ResponseParameters;
}

/** What the credentials of a token response, the callback and the steps after them result in. */
export async function authorizedBy(
  { credentials, callback }: Granted,
  { owner, server, context }: { owner: OAuth2Owner; server: AuthorizationServer; context: AuthModeContext },
): Promise<Authorized<OAuth2Credentials>> {
  const { integration } = owner;
  const tokenResponse = credentials.raw.reveal();
  const begun = {
    credentials,
    config: configFromProvider(integration, { callback, tokenResponse }),
    identity: identityFrom(tokenResponse, integration.auth.identity),
  };
  const taken = await takeSteps(owner, begun, { mode: oauth2StepMode(owner, context), context });
  return {
    ...taken,
    identity: completeIdentity(taken.identity),
    requestedScopes: scopesOf(integration, server),
  };
}
