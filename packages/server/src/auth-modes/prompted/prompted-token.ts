import type { z } from 'zod';
import { OAuthResponseError } from '../../oauth/oauth-error.ts';
import { processTokenResponse, type TokenResponse } from '../../oauth/token-response.ts';
import type { AuthModeContext } from '../auth-mode.ts';
import type { AuthValueSources } from '../auth-values.ts';
import { sendConfigured, sentSecrets, type ConfiguredRequest } from '../configured-request.ts';
import { responseFormat, type tokenShape } from '../token-fields.ts';

type TokenAuth = z.output<z.ZodObject<ReturnType<typeof tokenShape>>>;

/**
 * Requests a token. A 401 means that the credentials are no longer valid, like `invalid_grant` at an OAuth server.
 * Throws {@link OAuthResponseError}, and the errors of `http`.
 */
export async function requestPromptedToken(
  request: ConfiguredRequest,
  auth: TokenAuth,
  { sources, context }: { sources: AuthValueSources; context: Pick<AuthModeContext, 'http'> },
): Promise<TokenResponse> {
  const response = await sendConfigured(request, { sources }, context);
  try {
    return processTokenResponse(response, responseFormat(auth, undefined), sentSecrets(sources));
  } catch (error) {
    if (error instanceof OAuthResponseError && response.status === 401)
      throw new OAuthResponseError(error.code, error.message, { error: 'invalid_grant', httpStatus: 401 });
    throw error;
  }
}
