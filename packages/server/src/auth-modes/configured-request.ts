import { z } from 'zod';
import type { OAuthHttpResponse } from '../oauth/oauth-http.ts';
import type { Fields } from '../schema/fields.ts';
import { assertSecureUrl } from '../schema/loopback-host.ts';
import { Template } from '../schema/template.ts';
import type { AuthEndpoint, AuthModeContext, SignableRequest } from './auth-mode.ts';
import {
  AUTH_VALUES,
  renderAuthTemplate,
  renderAuthHeaders,
  renderAuthTemplates,
  renderAuthUrl,
  secretsOfPlaceholders,
  withPlaceholders,
  type AuthValueSources,
} from './auth-values.ts';
import { revealText, revealTexts, secretTextsIn, type Secret } from '../vault/secret.ts';

/**
 * Returns the schema of a request that a Blueprint configures. Its values may use those of `auth` and `placeholders`.
 * The output names the placeholders that it holds.
 */
export function configuredRequestSchema(fields: Fields, placeholders: readonly string[]) {
  const scope = { names: [...AUTH_VALUES.names, ...placeholders], prefixes: AUTH_VALUES.prefixes };
  const value = fields.template(scope);
  const request = z.strictObject({
    method: fields.choice(['POST', 'GET', 'PUT', 'DELETE']).default('POST').describe('HTTP method'),
    url: fields.url(scope).describe('Where it is sent'),
    headers: fields.headers(scope).default({}).describe('Headers'),
    params: fields.params(scope).default({}).describe('Query parameters'),
    body_format: fields.choice(['json', 'form']).default('json').describe('Encoding of the body'),
    body: z
      .record(z.string().min(1), z.union([value, z.record(z.string().min(1), value)]))
      .optional()
      .describe('Members of the body; a map is a member with members of its own'),
  });
  return request.transform(withPlaceholders);
}

/** A parsed configured request. */
export type ConfiguredRequest = z.output<ReturnType<typeof configuredRequestSchema>>;

/** Returns the headers that sign a request. */
export type RequestSigner = (request: SignableRequest) => Record<string, string>;

/**
 * Sends the request with values from `sources`, signed if `sign` is given. Throws `invalid_value` if a value makes the
 * URL insecure, and the errors of `http`.
 */
export function sendConfigured(
  request: ConfiguredRequest,
  { sources, sign }: { sources: AuthValueSources; sign?: RequestSigner | undefined },
  { http }: Pick<AuthModeContext, 'http'>,
): Promise<OAuthHttpResponse> {
  const { method } = request;
  const url = new URL(renderAuthUrl(request.url, sources));
  const { allowHttp, name } = sources.integration;
  assertSecureUrl(url, { allowHttp, source: `A request of "${name}"`, code: 'invalid_value' });
  const params = revealTexts(renderAuthTemplates(request.params, sources));
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value);
  const body = encodeBody(request, sources);
  const ownHeaders = revealTexts(renderAuthHeaders(request.headers, sources));
  const headers = { accept: 'application/json', ...body?.headers, ...ownHeaders };
  const signature = sign?.({ method, url: url.href, headers, body: body?.text });
  return http({
    method,
    url: url.href,
    headers: { ...headers, ...signature },
    ...(body ? { body: body.text } : {}),
    clientCertificate: sources.integration.clientCertificate?.reveal(),
  });
}

/** Returns the secrets that a request may have carried. No message may quote them. */
export function sentSecrets(sources: AuthValueSources): Secret<string>[] {
  return secretTextsIn(sources);
}

function encodeBody({ body, body_format }: ConfiguredRequest, sources: AuthValueSources) {
  if (!body) return undefined;
  const members = Object.entries(body).map(([name, member]) => {
    return [
      name,
      member instanceof Template
        ? revealText(renderAuthTemplate(member, sources))
        : revealTexts(renderAuthTemplates(member, sources)),
    ] as const;
  });
  if (body_format === 'json')
    return { text: JSON.stringify(Object.fromEntries(members)), headers: { 'content-type': 'application/json' } };
  const pairs = members.flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value] as [string, string]] : nested(name, value),
  );
  return {
    text: new URLSearchParams(pairs).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  };
}

/** Returns nested members as forms write them: `user[name]=…`. */
function nested(name: string, members: Record<string, string>): [string, string][] {
  return Object.entries(members).map(([member, value]) => [`${name}[${member}]`, value]);
}

/** Returns the endpoints of configured requests, by their keys in `auth`. */
export function endpointsOf(requests: Readonly<Record<string, ConfiguredRequest | undefined>>): AuthEndpoint[] {
  return Object.entries(requests).flatMap(([key, request]) => (request ? [endpointOf([key, 'url'], request)] : []));
}

/** Returns the endpoints of `auth.steps`. */
export function endpointsOfSteps(steps: readonly { readonly request: ConfiguredRequest }[]): AuthEndpoint[] {
  return steps.map(({ request }, index) => endpointOf(['steps', String(index), 'request', 'url'], request));
}

function endpointOf(key: readonly string[], { url, placeholders }: ConfiguredRequest): AuthEndpoint {
  return { key, url, receives: secretsOfPlaceholders(placeholders), isFirst: false };
}
