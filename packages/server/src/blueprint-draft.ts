import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { NangoError } from './errors/nango-error.ts';
import {
  authorizationServerMetadata,
  type AuthorizationServerMetadata,
} from './oauth/authorization-server-metadata.ts';
import { createOAuthHttp, HttpClient } from './upstream/http-client.ts';

/** The `auth` and `requests` of a Blueprint that is being written. */
export interface BlueprintDraft {
  readonly auth: Record<string, unknown>;
  readonly requests: Record<string, unknown>;
}

const BEARER = { Authorization: 'Bearer ${access_token}' };

const MAX_DOCUMENT_BYTES = 10_485_760;
const TIMEOUT_MS = 20_000;

/** A draft from what an authorization server publishes of itself (RFC 8414). */
export async function draftFromIssuer(issuer: string, baseUrl: string): Promise<BlueprintDraft> {
  await using client = disposable(new HttpClient());
  return draftFromMetadata(
    await authorizationServerMetadata(issuer, createOAuthHttp(client.it, { now: Date.now })),
    baseUrl,
  );
}

/** A draft from an OpenAPI 3 document, in a file or at a URL. */
export async function draftFromDocument(source: string): Promise<BlueprintDraft> {
  if (!/^https?:\/\//.test(source)) return draftFromOpenApi(parse(readFileSync(source, 'utf8')));
  await using client = disposable(new HttpClient());
  const request = { method: 'GET', url: source, headers: { 'user-agent': 'Nango' } } as const;
  const { status, body } = await client.it.send({ ...request, timeoutMs: TIMEOUT_MS, maxBytes: MAX_DOCUMENT_BYTES });
  if (status !== 200) throw new NangoError('request_failed', `${source} answered ${status}.`);
  return draftFromOpenApi(parse(body.toString('utf8')));
}

function disposable(client: HttpClient): AsyncDisposable & { readonly it: HttpClient } {
  return { it: client, [Symbol.asyncDispose]: () => client.close() };
}

function draftFromMetadata(metadata: AuthorizationServerMetadata, baseUrl: string): BlueprintDraft {
  const { token_endpoint_auth_methods_supported: methods, code_challenge_methods_supported: challenges } = metadata;
  const auth: Record<string, unknown> = {
    auth_mode: 'OAUTH2',
    authorization_url: metadata.authorization_endpoint,
    token_url: metadata.token_endpoint,
    revocation_url: metadata.revocation_endpoint,
    device_authorization_url: metadata.device_authorization_endpoint,
    issuer: metadata.issuer,
    authorization_method: methods && !methods.includes('client_secret_basic') ? methodOf(methods) : undefined,
    code_challenge_method: challenges && !challenges.includes('S256') ? 'none' : undefined,
  };
  return { auth: withoutUndefined(auth), requests: { base_url: baseUrl, headers: BEARER } };
}

function methodOf(methods: readonly string[]): string | undefined {
  if (methods.includes('client_secret_post')) return 'body';
  if (methods.includes('private_key_jwt')) return 'private_key_jwt';
  return methods.includes('none') ? 'none' : undefined;
}

const flow = z.looseObject({
  authorizationUrl: z.string().optional(),
  tokenUrl: z.string().optional(),
  refreshUrl: z.string().optional(),
});
const schemeSchema = z.discriminatedUnion('type', [
  z.looseObject({
    type: z.literal('oauth2'),
    flows: z.looseObject({ authorizationCode: flow.optional(), clientCredentials: flow.optional() }),
  }),
  z.looseObject({ type: z.literal('openIdConnect'), openIdConnectUrl: z.string() }),
  z.looseObject({ type: z.literal('apiKey'), name: z.string(), in: z.string() }),
  z.looseObject({ type: z.literal('http'), scheme: z.string() }),
  z.looseObject({ type: z.literal('mutualTLS') }),
]);

/** As much of an OpenAPI 3 document as says how its API is called. */
const openApiSchema = z.looseObject({
  servers: z.array(z.looseObject({ url: z.string() })).min(1, 'names no server'),
  components: z.looseObject({ securitySchemes: z.record(z.string(), schemeSchema) }),
});

type Scheme = z.output<typeof schemeSchema>;

/**
 * What an OpenAPI 3 document says of how its API is called, as a draft: OAuth 2.0 where it has that, else keys. Throws
 * `invalid_request` for a document that says neither.
 */
function draftFromOpenApi(document: unknown): BlueprintDraft {
  const parsed = openApiSchema.safeParse(document);
  if (!parsed.success)
    throw new NangoError(
      'invalid_request',
      `The OpenAPI document cannot be used: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`,
    );
  const { servers, components } = parsed.data;
  const base = servers[0]?.url ?? '';
  const schemes = Object.values(components.securitySchemes);
  const draft = schemes.map(draftOf).find((one) => one !== undefined);
  if (!draft)
    throw new NangoError(
      'invalid_request',
      'The OpenAPI document has no security scheme that a Blueprint can express.',
    );
  return { auth: draft.auth, requests: { base_url: base.endsWith('/') ? base : `${base}/`, ...draft.requests } };
}

function draftOf(scheme: Scheme): BlueprintDraft | undefined {
  if (scheme.type === 'oauth2') return oauth2Draft(scheme.flows);
  if (scheme.type === 'openIdConnect') {
    const issuer = scheme.openIdConnectUrl.replace(/\/\.well-known\/.*$/, '');
    return { auth: { auth_mode: 'OAUTH2', issuer }, requests: { headers: BEARER } };
  }
  if (scheme.type === 'apiKey') return keyDraft(scheme.name, scheme.in);
  if (scheme.type !== 'http') return undefined;
  if (scheme.scheme.toLowerCase() === 'basic')
    return {
      auth: { auth_mode: 'USERNAME_PASSWORD' },
      requests: { headers: { Authorization: 'Basic ${basic_auth_encoded}' } },
    };
  return scheme.scheme.toLowerCase() === 'bearer'
    ? { auth: { auth_mode: 'API_KEY' }, requests: { headers: { Authorization: 'Bearer ${api_key}' } } }
    : undefined;
}

function oauth2Draft({
  authorizationCode,
  clientCredentials,
}: {
  authorizationCode?: z.output<typeof flow> | undefined;
  clientCredentials?: z.output<typeof flow> | undefined;
}): BlueprintDraft | undefined {
  const used = authorizationCode ?? clientCredentials;
  if (!used) return undefined;
  const auth = {
    auth_mode: 'OAUTH2',
    authorization_url: used.authorizationUrl,
    token_url: used.tokenUrl,
    refresh_url: used.refreshUrl,
    token_params: authorizationCode ? undefined : { grant_type: 'client_credentials' },
  };
  return { auth: withoutUndefined(auth), requests: { headers: BEARER } };
}

function keyDraft(name: string, place: string): BlueprintDraft | undefined {
  const auth = { auth_mode: 'API_KEY' };
  if (place === 'header') return { auth, requests: { headers: { [name]: '${api_key}' } } };
  return place === 'query' ? { auth, requests: { params: { [name]: '${api_key}' } } } : undefined;
}

function withoutUndefined(map: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined));
}
