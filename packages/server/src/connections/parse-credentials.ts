import { z } from 'zod';
import type { AdditionalConfig, BaseCredentials, Integration } from '../auth-modes/auth-mode.ts';
import { NangoError } from '../errors/nango-error.ts';
import { authorizeRequest } from './authorize-request.ts';
import { authModeOf, type ConnectionContext } from './connection-context.ts';

/** Credentials from outside, and the connection they are for. */
export interface GivenCredentials {
  readonly integration: Integration;
  readonly credentials: unknown;
  readonly config: AdditionalConfig;
}

/**
 * Checks credentials from outside against the Integration's auth mode and, where its Blueprint names a verification
 * request, against the API. Throws `invalid_credentials`; nothing is stored before.
 */
export async function parseCredentials(given: GivenCredentials, context: ConnectionContext): Promise<BaseCredentials> {
  const mode = authModeOf(given.integration);
  const parsed = mode.credentialsInput.safeParse(given.credentials);
  if (!parsed.success) {
    const why = z.prettifyError(parsed.error).replaceAll('\n', ' ');
    throw new NangoError('invalid_credentials', `The credentials do not fit auth_mode ${mode.name}: ${why}`);
  }
  await verifyCredentials({ ...given, credentials: parsed.data }, context);
  return parsed.data;
}

async function verifyCredentials(
  { integration, credentials, config }: GivenCredentials & { credentials: BaseCredentials },
  context: ConnectionContext,
): Promise<void> {
  const mode = authModeOf(integration);
  const verification = mode.entered?.verification(integration);
  if (!verification) return;
  const { url, headers } = authorizeRequest(verification, { integration, mode, credentials, config, context });
  const { status } = await context.http({ method: verification.method, url, headers });
  if (status >= 200 && status < 300) return;
  if (status === 401 || status === 403) {
    throw new NangoError(
      'invalid_credentials',
      `"${integration.name}" does not accept these credentials (status ${status}).`,
    );
  }
  throw new NangoError(
    'provider_error',
    `"${integration.name}" answered the verification request with status ${status}; nothing was stored.`,
  );
}
