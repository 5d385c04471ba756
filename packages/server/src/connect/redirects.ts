import type { ConnectionContext } from '../connections/connection-context.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { ConnectAttemptRow } from '../store/store.ts';
import { Secret } from '../vault/secret.ts';
import { hashToken } from './connect-sessions.ts';
import { parseAttemptOptions } from './session-options.ts';

/** How long the code of an ended attempt can be used, in milliseconds. */
const CODE_LIFE_MS = 600_000;

/** The query parameter that holds the code. */
const CODE_PARAMETER = 'nango_code';

/**
 * Throws `invalid_request` unless the configuration lists exactly this URL. A URL that is only similar could lead a
 * browser elsewhere (RFC 9700 §4.1.3).
 */
export function assertAllowedRedirectUrl(url: string, { config }: Pick<ConnectionContext, 'config'>): void {
  if (config().server.allowed_redirect_urls.includes(url)) return;
  throw new NangoError(
    'invalid_request',
    `redirectUrl "${url}" is not one of allowed_redirect_urls in nango-config.yaml. The whole text has to be the same.`,
  );
}

/**
 * The URL of the application to which the browser of an ended attempt returns, with a code that is used once. Null = it
 * stays on our page. Only a page that chose redirect mode can receive a failure.
 */
export async function returnUrlOf(
  row: ConnectAttemptRow,
  { status }: { status: 'pending' | 'succeeded' | 'failed' },
  context: ConnectionContext,
): Promise<Secret<string> | null> {
  const { redirectUrl, returnsFailures = false } = parseAttemptOptions(row.options);
  if (redirectUrl === undefined || (status === 'failed' && !returnsFailures)) return null;
  const code = new Secret(context.randomToken());
  await context.store.issueCode(row.attemptHash, {
    codeHash: hashToken(code),
    expiresAt: context.now() + CODE_LIFE_MS,
  });
  return code.map((text) => withCode(redirectUrl, text));
}

/** Uses the code of an ended attempt. Throws `invalid_code` unless it is this attempt's, unused and not expired. */
export async function redeemCode(
  attempt: Secret<string>,
  code: Secret<string>,
  { store, now }: ConnectionContext,
): Promise<ConnectAttemptRow> {
  const row = await store.redeemCode(hashToken(attempt), hashToken(code), now());
  if (row) return row;
  if ((await store.findAttempt(hashToken(attempt)))?.status !== 'confirming') throw invalidCode();
  throw new NangoError(
    'invalid_state',
    'The connection is stored when your back end confirms it: pass the code to confirmConnection({ code, userId }).',
  );
}

/** Returns the error for a code that was used, has expired, is unknown, or belongs to another attempt. */
export function invalidCode(): NangoError {
  return new NangoError(
    'invalid_code',
    `The code of ${CODE_PARAMETER} was used, has expired, or is of another attempt. Connect again.`,
  );
}

function withCode(redirectUrl: string, code: string): string {
  return `${redirectUrl}${redirectUrl.includes('?') ? '&' : '?'}${CODE_PARAMETER}=${code}`;
}
