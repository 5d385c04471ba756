import { z } from 'zod';
import { OAuthResponseError } from '../oauth/oauth-error.ts';
import { processTokenResponse, type TokenResponse } from '../oauth/token-response.ts';
import type { Fields } from '../schema/fields.ts';
import { Template } from '../schema/template.ts';
import type { AuthModeContext } from './auth-mode.ts';
import { AUTH_VALUES, fill, fillHeaders, fillTemplates, fillUrl, type AuthValueSources } from './auth-values.ts';
import { responseFormat, type tokenShape } from './token-fields.ts';

/** `auth.token_request`: the request that exchanges what the user typed in for a token. */
export function tokenRequestSchema(fields: Fields, placeholders: readonly string[]) {
  const scope = { names: [...AUTH_VALUES.names, ...placeholders], prefixes: AUTH_VALUES.prefixes };
  const value = fields.template(scope);
  return z.strictObject({
    method: fields.choice(['POST', 'GET', 'PUT']).default('POST').describe('HTTP method'),
    url: fields.url(scope).describe('Where the token is asked for'),
    headers: fields.headers(scope).default({}).describe('Headers'),
    params: fields.params(scope).default({}).describe('Query parameters'),
    body_format: fields.choice(['json', 'form']).default('json').describe('Encoding of the body'),
    body: z
      .record(z.string().min(1), z.union([value, z.record(z.string().min(1), value)]))
      .optional()
      .describe('Members of the body; a map is a member with members of its own'),
  });
}

type TokenRequest = z.output<ReturnType<typeof tokenRequestSchema>>;
type TokenAuth = z.output<z.ZodObject<ReturnType<typeof tokenShape>>>;

/**
 * Asks for a token. A 401 means that the credentials are no longer good, as `invalid_grant` does at an OAuth server.
 * Throws {@link OAuthResponseError}, and what `http` throws when there is no answer.
 */
export async function requestEnteredToken(
  request: TokenRequest,
  auth: TokenAuth,
  { sources, context: { http } }: { sources: AuthValueSources; context: Pick<AuthModeContext, 'http'> },
): Promise<TokenResponse> {
  const { method } = request;
  const url = new URL(fillUrl(request.url, sources));
  for (const [name, value] of Object.entries(fillTemplates(request.params, sources))) url.searchParams.set(name, value);
  const body = encodeBody(request, sources);
  const response = await http({
    method,
    url: url.href,
    headers: { accept: 'application/json', ...body?.headers, ...fillHeaders(request.headers, sources) },
    ...(body ? { body: body.text } : {}),
    clientCertificate: sources.integration.clientCertificate?.reveal(),
  });
  try {
    return processTokenResponse(response, responseFormat(auth, undefined), secretsOf(sources));
  } catch (error) {
    if (error instanceof OAuthResponseError && response.status === 401)
      throw new OAuthResponseError(error.code, error.message, { error: 'invalid_grant', httpStatus: 401 });
    throw error;
  }
}

function encodeBody({ body, body_format }: TokenRequest, sources: AuthValueSources) {
  if (!body) return undefined;
  const members = Object.entries(body).map(([name, member]) => {
    return [name, member instanceof Template ? fill(member, sources) : fillTemplates(member, sources)] as const;
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

/** `user[name]=…`, as forms spell members of members. */
function nested(name: string, members: Record<string, string>): [string, string][] {
  return Object.entries(members).map(([member, value]) => [`${name}[${member}]`, value]);
}

function secretsOf({ raw, named = {}, integration }: AuthValueSources): string[] {
  const values = [...Object.values(raw), ...Object.values(named), integration.appApiKey?.reveal()];
  return values.filter((value) => typeof value === 'string');
}
