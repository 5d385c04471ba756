import { z } from 'zod';
import { readBody } from '../response-body.ts';
import { responseSecrets } from '../response-secrets.ts';
import { authenticatedForm } from '../client-authentication.ts';
import { excerpt, OAuthResponseError } from '../oauth-error.ts';
import type { OAuthHttp } from '../oauth-http.ts';
import { parseJson } from '../../formats/parse-json.ts';
import { tokenRequest, type TokenEndpoint } from '../token-request.ts';
import type { TokenResponse } from '../token-response.ts';
import { Secret, type MaybeSecret } from '../../vault/secret.ts';

const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';

// Upper bounds for the values of a provider.
const MAX_LIFETIME_SECONDS = 86_400;
const MAX_INTERVAL_SECONDS = 600;

const deviceAuthorizationSchema = z.object({
  device_code: z
    .string()
    .min(1)
    .transform((code) => new Secret(code)),
  user_code: z.string().min(1).max(200),
  verification_uri: z.url({ protocol: /^https?$/ }),
  verification_uri_complete: z.url({ protocol: /^https?$/ }).optional(),
  /** Seconds. */
  expires_in: z.coerce
    .number()
    .positive()
    .transform((seconds) => Math.min(seconds, MAX_LIFETIME_SECONDS)),
  /** Seconds between two token requests. */
  interval: z.coerce
    .number()
    .positive()
    .transform((seconds) => Math.min(seconds, MAX_INTERVAL_SECONDS))
    .default(5),
});

/** A device authorization response (RFC 8628 §3.2). */
export type DeviceAuthorization = z.output<typeof deviceAuthorizationSchema>;

/** `slow_down` asks for five more seconds between this and every later request (RFC 8628 §3.5). */
export type DeviceTokenPending = 'authorization_pending' | 'slow_down';

/** Requests a code that the user enters on another device (RFC 8628 §3.1). Throws `provider_error`. */
export async function deviceAuthorizationRequest(
  endpoint: Pick<TokenEndpoint, 'url' | 'client' | 'authenticate' | 'clientCertificate' | 'unsentSecrets'>,
  params: Readonly<Record<string, MaybeSecret>>,
  http: OAuthHttp,
): Promise<DeviceAuthorization> {
  const { client_id } = endpoint.client;
  // RFC 8628 §3.1: client_id is in the body, even if the client authenticates in another way.
  const named = { ...params, ...(client_id === undefined ? {} : { client_id }) };
  const { secrets, ...form } = authenticatedForm(endpoint, named);
  const response = await http({ url: endpoint.url, ...form });
  const { status, body } = response;
  const json = readBody(response, (text) => parseJson(text));
  const parsed = status === 200 ? deviceAuthorizationSchema.safeParse(json) : undefined;
  if (parsed?.success) return parsed.data;
  const detail = parsed
    ? 'a response that is not a device authorization'
    : excerpt(body, [...secrets, ...responseSecrets(json, ['device_code'])]);
  throw new OAuthResponseError(
    'provider_error',
    `The device authorization endpoint responded with status ${status}: ${detail || '(empty)'}`,
    { httpStatus: status },
  );
}

/** Asks once whether the user has agreed (RFC 8628 §3.4). Throws `access_denied` if the user refused. */
export async function deviceTokenRequest(
  endpoint: TokenEndpoint,
  { device_code, params }: { device_code: Secret<string>; params: Readonly<Record<string, MaybeSecret>> },
  http: OAuthHttp,
): Promise<TokenResponse | DeviceTokenPending> {
  try {
    return await tokenRequest(endpoint, { grant: { grant_type: DEVICE_CODE, device_code }, params }, http);
  } catch (error) {
    if (!(error instanceof OAuthResponseError)) throw error;
    if (error.error === 'authorization_pending' || error.error === 'slow_down') return error.error;
    const { error: code, httpStatus } = error;
    if (code === 'access_denied')
      throw new OAuthResponseError('access_denied', 'Access was denied.', { error: code, httpStatus });
    if (code !== 'expired_token') throw error;
    const message = 'The code expired before the user entered it. Start again.';
    throw new OAuthResponseError('provider_error', message, { error: code, httpStatus });
  }
}
