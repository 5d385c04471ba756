import { z } from 'zod';
import { readBody } from '../response-body.ts';
import { responseSecrets } from '../response-secrets.ts';
import { excerpt, OAuthResponseError } from '../oauth-error.ts';
import type { OAuthHttp } from '../oauth-http.ts';
import { parseJson } from '../../formats/parse-json.ts';
import { Secret } from '../../vault/secret.ts';

/** A client's own metadata (RFC 7591 §2). */
export interface ClientMetadata {
  readonly redirect_uris: readonly string[];
  readonly grant_types: readonly string[];
  readonly response_types: readonly string[];
  readonly token_endpoint_auth_method: string;
  readonly scope?: string;
  /** `client_name`, `client_uri`, `logo_uri` and the like. */
  readonly [extra: string]: string | readonly string[] | undefined;
}

/** A client as the authorization server registered it (RFC 7591 §3.2.1). */
export const registeredClientSchema = z.object({
  client_id: z.string().min(1),
  client_secret: z
    .string()
    .min(1)
    .transform((secret) => new Secret(secret))
    .optional(),
  /** Seconds since the epoch; 0 = never. */
  client_secret_expires_at: z.number().optional(),
  token_endpoint_auth_method: z.string().optional(),
});

/** Parsed registered client. */
export type RegisteredClient = z.output<typeof registeredClientSchema>;

/** Registers a client dynamically (RFC 7591 §3.1). Throws `provider_error` with the server's message if it refuses. */
export async function registerClient(
  registrationEndpoint: string,
  metadata: ClientMetadata,
  http: OAuthHttp,
): Promise<RegisteredClient> {
  const response = await http({
    method: 'POST',
    url: registrationEndpoint,
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: JSON.stringify(metadata),
  });
  const { status, body } = response;
  const json = readBody(response, (text) => parseJson(text));
  const registered = status < 300 ? registeredClientSchema.safeParse(json).data : undefined;
  // RFC 7591 §3.2.1: members that the server omitted are as requested.
  if (registered) return { token_endpoint_auth_method: metadata.token_endpoint_auth_method, ...registered };
  // A successful response that cannot be read may hold a secret, so it is never quoted.
  const received = responseSecrets(json, ['client_secret', 'registration_access_token']);
  const detail = status < 300 ? 'a response without a usable client_id' : excerpt(body, received);
  throw new OAuthResponseError(
    'provider_error',
    `The registration endpoint responded with status ${status}: ${detail || '(empty)'}. ` +
      'Register a client by hand and set oauth_client_id.',
    { httpStatus: status },
  );
}

/** Returns the strongest method that both sides support. A server that names none accepts Basic (RFC 7591 §2). */
export function registeredAuthMethod(supported: readonly string[] = ['client_secret_basic']): string {
  return ['client_secret_basic', 'client_secret_post'].find((method) => supported.includes(method)) ?? 'none';
}
