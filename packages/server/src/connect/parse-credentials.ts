import type { AdditionalConfig, BaseCredentials, Integration, JsonObject } from '../auth-modes/auth-mode.ts';
import { NangoError } from '../errors/nango-error.ts';
import { targetUrl } from '../formats/request-target.ts';
import { describeIssue, problemsOf } from '../schema/describe-issue.ts';
import { inputProblems } from '../schema/input-fields.ts';
import { authorizeRequest } from '../calls/authorize-request.ts';
import { authModeOf, modeContext, type ConnectionContext } from '../connections/connection-context.ts';
import type { Secret } from '../vault/secret.ts';
import { isSuccess } from '../formats/http-status.ts';

const MAX_VERIFICATION_BYTES = 1_048_576;

/** Credentials from outside, and the connection that they are for. */
export interface SubmittedCredentials {
  readonly integration: Integration;
  readonly credentials: Secret<JsonObject>;
  readonly config: AdditionalConfig;
  /** A page may submit prompted credentials only. The application may also submit tokens. */
  readonly from: 'application' | 'page';
}

/**
 * Checks credentials from outside against the Integration's auth mode, exchanges them if needed, and tries them if
 * there is a verification request. An empty object stands for credentials that the provider issues to the application.
 * Throws `invalid_credentials`; nothing is stored.
 */
export async function parseCredentials(
  submitted: SubmittedCredentials,
  context: ConnectionContext,
): Promise<BaseCredentials> {
  const credentials = await acceptCredentials(submitted, context);
  await verifyCredentials({ ...submitted, credentials }, context);
  return credentials;
}

/** Does the same as {@link parseCredentials}, but sends no verification request. */
export async function acceptCredentials(
  submitted: SubmittedCredentials,
  context: ConnectionContext,
): Promise<BaseCredentials> {
  const { integration, credentials, config, from } = submitted;
  const mode = authModeOf(integration);
  const values = credentials.reveal();
  if (mode.issuance && isIssued(integration, values))
    return mode.issuance.issue({ integration, config }, modeContext(integration, context));
  const fields = mode.prompted?.fields(integration);
  // A page must not be able to submit tokens where the provider has to prove the account.
  if (!fields && from === 'page')
    throw new NangoError(
      'invalid_credentials',
      `"${integration.name}" takes no credentials. Call connect() without them.`,
    );
  if (mode.prompted && fields && inputProblems(fields, values).length === 0)
    return mode.prompted.accept({ integration, config, values: credentials }, modeContext(integration, context));
  const problem = credentialsProblem(submitted);
  if (problem !== undefined)
    throw new NangoError('invalid_credentials', `The credentials do not fit auth_mode ${mode.name}: ${problem}`);
  return mode.credentialsInput.parse(values);
}

/** Why credentials do not fit the Integration's auth mode, checked without a request; undefined if they fit. */
export function credentialsProblem({ integration, credentials, from }: SubmittedCredentials): string | undefined {
  const mode = authModeOf(integration);
  const values = credentials.reveal();
  if (isIssued(integration, values)) return undefined;
  const fields = mode.prompted?.fields(integration);
  const problems = inputProblems(fields ?? {}, values);
  if (mode.prompted && fields && problems.length === 0) return undefined;
  const parsed = mode.credentialsInput.safeParse(values, { error: describeIssue });
  const promptedOnly = from === 'page' || !mode.authorization;
  if (parsed.success && !promptedOnly) return undefined;
  return fields ? `${problems.join('; ')}.` : parsed.error && problemsOf(parsed.error, 'the value');
}

function isIssued(integration: Integration, values: object): boolean {
  return authModeOf(integration).issuance?.applies(integration) === true && Object.keys(values).length === 0;
}

async function verifyCredentials(
  { integration, credentials, config }: Omit<SubmittedCredentials, 'credentials'> & { credentials: BaseCredentials },
  context: ConnectionContext,
): Promise<void> {
  const mode = authModeOf(integration);
  const verification = mode.prompted?.verification(integration);
  if (!verification) return;
  const { target, headers } = authorizeRequest(verification, { integration, mode, credentials, config }, context);
  const { status } = await modeContext(integration, context).http({
    method: verification.method,
    url: targetUrl(target),
    headers,
    clientCertificate: integration.clientCertificate,
    // A verification request may return a list. Only its status is read.
    maxBytes: MAX_VERIFICATION_BYTES,
  });
  if (isSuccess(status) || verification.accept_statuses.includes(status)) return;
  if (status === 401 || status === 403) {
    throw new NangoError(
      'invalid_credentials',
      `"${integration.name}" does not accept these credentials (status ${status}).`,
    );
  }
  throw new NangoError(
    'provider_error',
    `"${integration.name}" responded to the verification request (${verification.method} ${verification.endpoint}) ` +
      `with status ${status}, so nothing was stored. ` +
      'If the request is wrong, override auth.verification, or set it to null.',
  );
}
