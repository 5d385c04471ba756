import { z } from 'zod';
import { NangoError } from '../../errors/nango-error.ts';
import { OAuthResponseError } from '../../oauth/oauth-error.ts';
import { describeIssue, problemsOf } from '../../schema/describe-issue.ts';
import type { Fields } from '../../schema/fields.ts';
import { credentialFieldsSchema, namedGroups, type InputFields } from '../../schema/input-fields.ts';
import type {
  AuthMode,
  AuthModeContext,
  BaseCredentials,
  PromptedValues,
  Integration,
  JsonObject,
} from '../auth-mode.ts';
import { storedRaw, storedSecret, storedTime } from '../credential-schema.ts';
import { configuredRequestSchema, endpointsOf } from '../configured-request.ts';
import { requestPromptedToken } from './prompted-token.ts';
import { expiryOf, refreshDueAt, tokenShape } from '../token-fields.ts';
import type { MaybeSecret, Secret } from '../../vault/secret.ts';

/** Returns the schema of `auth.verification`. */
export function verificationSchema(fields: Fields) {
  return z
    .strictObject({
      method: fields.choice(['GET', 'POST']).default('GET').describe('HTTP method'),
      endpoint: z.string().min(1).describe('Relative to base_url'),
      accept_statuses: z
        .array(z.int().min(400).max(499))
        .max(5)
        .default([])
        .describe('Statuses other than 2xx that also prove credentials: 403, if the API sends 401 for unknown ones'),
    })
    .optional()
    .describe('Request that proves credentials before they are stored');
}

/** The keys of `auth` for modes with prompted credentials. */
export function promptedAuthShape(fields: Fields, placeholders: readonly string[]) {
  return {
    credentials: credentialFieldsSchema
      .optional()
      .describe('Fields to prompt for; fields other than the mode’s own are stored as raw.*'),
    verification: verificationSchema(fields),
    token_request: configuredRequestSchema(fields, placeholders)
      .optional()
      .describe('Exchanges the credentials for a token that expires, for ${access_token}'),
    ...tokenShape(fields),
  };
}

/** The parsed `auth` section of these modes. */
export type PromptedAuth = z.output<z.ZodObject<ReturnType<typeof promptedAuthShape>>> & { readonly auth_mode: string };

/** Prompted credentials, and the token that they were exchanged for. */
export interface PromptedCredentials extends BaseCredentials {
  readonly access_token?: Secret<string> | undefined;
  /** Milliseconds since the epoch. */
  readonly expires_at?: number | undefined;
  readonly grant?: { readonly received_at: number; readonly prompted: Secret<JsonObject> } | undefined;
}

/** Members of these stored credentials, in addition to the mode's own. */
export const promptedCredentialsShape = {
  raw: storedRaw,
  access_token: storedSecret.optional(),
  expires_at: storedTime.optional(),
  grant: z.object({ received_at: z.number(), prompted: storedRaw }).optional(),
};

/** The parts that differ between these modes. */
interface PromptedModeParts<Credentials extends PromptedCredentials> {
  readonly name: string;
  /** The mode's own fields, as a form shows them. */
  readonly fields: InputFields;
  readonly credentialsInput: z.ZodType<Credentials>;
  readonly storedCredentials: z.ZodType<Credentials>;
  readonly placeholders: Record<string, (credentials: Credentials) => MaybeSecret>;
}

/**
 * Returns an auth mode with prompted credentials. If the API needs a token for them, the mode requests and refreshes
 * it.
 */
export function promptedMode<Credentials extends PromptedCredentials>(
  parts: PromptedModeParts<Credentials>,
): AuthMode<PromptedAuth, Credentials> {
  const { name, credentialsInput, placeholders } = parts;

  /** Adds a new token if there is a token_request. */
  async function withToken(
    credentials: Credentials,
    owner: Omit<PromptedValues<PromptedAuth>, 'values'>,
    context: AuthModeContext,
  ) {
    const { integration } = owner;
    const { token_request } = integration.auth;
    if (!token_request) return credentials;
    const named = Object.fromEntries(Object.entries(placeholders).map(([key, valueOf]) => [key, valueOf(credentials)]));
    const sources = { ...owner, raw: credentials.raw, named };
    const response = await requestPromptedToken(token_request, integration.auth, { sources, context });
    const received_at = context.now();
    return {
      ...credentials,
      access_token: response.access_token,
      expires_at: expiryOf(response, integration.auth, received_at),
      grant: { received_at, prompted: credentials.raw },
      // Prompted values take precedence: a response must not replace them under the same name.
      raw: response.raw.map((received) => ({ ...received, ...credentials.raw.reveal() })),
    };
  }

  return {
    name,
    authShape: (fields) => promptedAuthShape(fields, Object.keys(placeholders)),
    endpoints: ({ token_request }) => endpointsOf({ token_request }),
    unavailablePlaceholders: ({ token_request }): Record<string, string> =>
      token_request ? {} : { access_token: 'auth has no token_request' },
    credentialsInput,
    storedCredentials: parts.storedCredentials,
    times: ['expires_at'],
    placeholders: { ...placeholders, access_token: ({ access_token = '' }) => access_token },
    prompted: {
      fields: ({ auth }) => ({ ...parts.fields, ...auth.credentials }),
      verification: ({ auth }) => auth.verification,
      async accept({ values, ...owner }, context) {
        const { integration } = owner;
        const prompted = values.map((texts) => ({
          ...texts,
          ...namedGroups(integration.auth.credentials ?? {}, texts),
        }));
        const credentials = parsePrompted(credentialsInput, prompted, integration);
        try {
          return await withToken(credentials, owner, context);
        } catch (error) {
          throw toInvalidCredentials(error, integration);
        }
      },
    },
    refresh: {
      isRefreshable: (_, { auth }) => auth.token_request !== undefined,
      expiresAt: ({ expires_at }) => expires_at,
      dueAt: ({ access_token, expires_at, grant }, { auth }) => {
        if (!auth.token_request) return undefined;
        // The connection was registered before the Blueprint had a token request, so it is due at once.
        if (access_token === undefined) return 0;
        return refreshDueAt({ expires_at, received_at: grant?.received_at }, auth);
      },
      refresh: ({ credentials, ...owner }, context) =>
        withToken({ ...credentials, raw: credentials.grant?.prompted ?? credentials.raw }, owner, context),
    },
  };
}

/** Parses values from outside as credentials. Throws `invalid_credentials`; the message names fields, never values. */
export function parsePrompted<T>(schema: z.ZodType<T>, values: Secret<unknown>, { auth }: Integration): T {
  const parsed = schema.safeParse(values.reveal(), { error: describeIssue });
  if (parsed.success) return parsed.data;
  const line = problemsOf(parsed.error, 'the value');
  throw new NangoError('invalid_credentials', `The credentials do not fit auth_mode ${auth.auth_mode}: ${line}`);
}

/**
 * Turns a provider's rejection during the registration of credentials into `invalid_credentials`. A later rejection may
 * have other reasons.
 */
export function toInvalidCredentials(error: unknown, { name }: Integration): unknown {
  if (!(error instanceof OAuthResponseError)) return error;
  const isRejected = error.error === 'invalid_grant' || [400, 401, 403, 422].includes(error.httpStatus ?? 0);
  if (!isRejected) return error;
  return new NangoError('invalid_credentials', `"${name}" does not accept these credentials. ${error.message}`, {
    cause: error,
  });
}
