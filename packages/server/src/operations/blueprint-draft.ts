import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import {
  authorizationServerMetadata,
  type AuthorizationServerMetadata,
} from '../oauth/discovery/authorization-server-metadata.ts';
import { describeIssue, problemsOf } from '../schema/describe-issue.ts';
import { targetOf } from '../formats/request-target.ts';
import { createOAuthHttp, HttpClient } from '../upstream/http-client.ts';

/** The sections of a Blueprint draft. */
export interface BlueprintDraft {
  readonly auth: Record<string, unknown>;
  readonly config?: Record<string, unknown>;
  readonly requests: Record<string, unknown>;
}

const BEARER = { Authorization: 'Bearer ${access_token}' };

const MAX_DOCUMENT_BYTES = 10_485_760;
const TIMEOUT_MS = 20_000;

/** Drafts a Blueprint from an authorization server's metadata (RFC 8414). */
export async function draftFromIssuer(issuer: string, baseUrl: string): Promise<BlueprintDraft> {
  await using client = disposable(new HttpClient());
  return draftFromMetadata(
    await authorizationServerMetadata(issuer, createOAuthHttp(client.it, { now: Date.now })),
    baseUrl,
  );
}

/**
 * Drafts a Blueprint from an OpenAPI 3 document, in a file or at a URL. `baseUrl` replaces the document's server.
 * Throws `invalid_request` if the document is not OpenAPI 3 or lacks facts, and `request_failed`.
 */
export async function draftFromDocument(source: string, baseUrl?: string): Promise<BlueprintDraft> {
  const isRemote = /^https?:\/\//.test(source);
  const document = parseDocument(isRemote ? await fetchText(source) : readText(source), source);
  const draft = draftOfApi(document);
  const server = baseUrl === undefined ? serverOf(document, isRemote ? source : undefined) : { base_url: baseUrl };
  const { config, base_url: base } = server;
  const requests = { base_url: base.endsWith('/') ? base : `${base}/`, ...draft.requests };
  return { ...draft, ...(config ? { config } : {}), requests };
}

async function fetchText(url: string): Promise<string> {
  await using client = disposable(new HttpClient());
  const target = targetOf(new URL(url));
  const request = { method: 'GET', target, headers: { 'user-agent': 'Nango' } } as const;
  const { status, body } = await client.it.send({ ...request, timeoutMs: TIMEOUT_MS, maxBytes: MAX_DOCUMENT_BYTES });
  if (status !== 200) throw new NangoError('request_failed', `${url} responded with status ${status}.`);
  return body.toString('utf8');
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new NangoError('invalid_request', `${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
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

const serverVariableSchema = z.looseObject({
  default: z.string(),
  enum: z.array(z.string()).min(1).optional(),
  description: z.string().optional(),
});

/** The parts of an OpenAPI 3 document that say how its API is called. */
const openApiSchema = z.looseObject({
  openapi: z.string().regex(/^3\./, 'is not 3.x'),
  // Without servers, the server is "/" (OpenAPI 3.1 §4.8.1.1).
  servers: z
    .array(z.looseObject({ url: z.string(), variables: z.record(z.string(), serverVariableSchema).default({}) }))
    .default([]),
  components: z.looseObject({ securitySchemes: z.record(z.string(), schemeSchema) }),
});

type OpenApi = z.output<typeof openApiSchema>;
type Scheme = z.output<typeof schemeSchema>;

function parseDocument(text: string, source: string): OpenApi {
  const notOpenApi = (why: string) =>
    new NangoError('invalid_request', `${source} is not an OpenAPI 3 document: ${why.replaceAll(/\s+/g, ' ')}`);
  let document: unknown;
  try {
    document = parse(text);
  } catch (error) {
    throw notOpenApi(messageOf(error));
  }
  const parsed = openApiSchema.safeParse(document, { error: describeIssue });
  if (!parsed.success) throw notOpenApi(problemsOf(parsed.error, 'it'));
  return parsed.data;
}

/**
 * Drafts the Blueprint of the first security scheme that a Blueprint can express. Throws `invalid_request` if there is
 * none.
 */
function draftOfApi({ components }: OpenApi): BlueprintDraft {
  const draft = Object.values(components.securitySchemes)
    .map(draftOf)
    .find((one) => one !== undefined);
  if (draft) return draft;
  throw new NangoError('invalid_request', 'The OpenAPI document has no security scheme that a Blueprint can express.');
}

/**
 * Returns the first server. Its variables become fields of `config`. `location` is the document's URL, if it has one.
 */
function serverOf(
  { servers: [server = { url: '/', variables: {} }] }: OpenApi,
  location: string | undefined,
): { base_url: string; config?: Record<string, unknown> } {
  const { url, variables } = server;
  const isAbsolute = /^(https?:\/\/|\{)/.test(url);
  if (!isAbsolute && location === undefined)
    throw new NangoError('invalid_request', 'The OpenAPI document has no absolute server URL. Set --base-url.');
  const absolute = isAbsolute ? url : URL.parse(url, location)?.href.replaceAll('%7B', '{').replaceAll('%7D', '}');
  const base_url = (absolute ?? url).replaceAll(/\{([^{}]+)\}/g, (_, name: string) => `\${config.${fieldName(name)}}`);
  const fields = Object.entries(variables).map(([name, { default: value, enum: values, description }]) => {
    const pattern = values?.map((one) => one.replaceAll(/[^\w-]/g, String.raw`\$&`)).join('|');
    return [fieldName(name), withoutUndefined({ label: name, description, default: value, pattern })] as const;
  });
  return { base_url, ...(fields.length > 0 ? { config: Object.fromEntries(fields) } : {}) };
}

/** Turns a name into a valid name for `config`. */
function fieldName(name: string): string {
  return name.replaceAll(/\W/g, '_').replace(/^(?=\d)/, '_');
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
