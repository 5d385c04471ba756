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
import { toSecretJson } from '../vault/sealed-json.ts';
import { mapTexts, revealTexts, Secret, secretTextsIn, type MaybeSecret } from '../vault/secret.ts';

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
  const url = renderRequestUrl(request, sources);
  const { text: body, headers: bodyHeaders } = encodeBody(request, sources) ?? {};
  const ownHeaders = renderAuthHeaders(request.headers, sources);
  const headers = { accept: 'application/json', ...bodyHeaders, ...ownHeaders };
  const signature = sign && signatureHeaders({ method, url, headers, body }, sign);
  return http({
    method,
    url,
    headers: { ...headers, ...signature },
    ...(body ? { body } : {}),
    clientCertificate: sources.integration.clientCertificate,
  });
}

function renderRequestUrl({ url, params }: ConfiguredRequest, sources: AuthValueSources): Secret<string> {
  const { allowHttp, name } = sources.integration;
  const query = renderAuthTemplates(params, sources);
  return mapTexts(query, (texts) => {
    const target = new URL(renderAuthUrl(url, sources));
    assertSecureUrl(target, { allowHttp, source: `A request of "${name}"`, code: 'invalid_value' });
    for (const [parameter, value] of Object.entries(texts)) target.searchParams.set(parameter, value);
    return target.href;
  });
}

interface UnsignedRequest {
  readonly method: string;
  readonly url: Secret<string>;
  readonly headers: Readonly<Record<string, MaybeSecret>>;
  readonly body: Secret<string> | undefined;
}

/** A signature covers the texts of a request, so the signer reads them. */
function signatureHeaders(
  { method, url, headers, body }: UnsignedRequest,
  sign: RequestSigner,
): Record<string, Secret<string>> {
  const signed = sign({ method, url: url.reveal(), headers: revealTexts(headers), body: body?.reveal() });
  return Object.fromEntries(Object.entries(signed).map(([name, value]) => [name, new Secret(value)]));
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
      member instanceof Template ? renderAuthTemplate(member, sources) : renderAuthTemplates(member, sources),
    ] as const;
  });
  if (body_format === 'json')
    return { text: toSecretJson(Object.fromEntries(members)), headers: { 'content-type': 'application/json' } };
  const pairs = members.flatMap(([name, value]) => (isText(value) ? [[name, value] as const] : nested(name, value)));
  return {
    text: mapTexts(Object.fromEntries(pairs), (texts) => new URLSearchParams(texts).toString()),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  };
}

/** Returns nested members as forms write them: `user[name]=…`. */
function nested(name: string, members: Record<string, MaybeSecret>): (readonly [string, MaybeSecret])[] {
  return Object.entries(members).map(([member, value]) => [`${name}[${member}]`, value]);
}

function isText(value: MaybeSecret | Record<string, MaybeSecret>): value is MaybeSecret {
  return typeof value === 'string' || value instanceof Secret;
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
