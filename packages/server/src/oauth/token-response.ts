import { z } from 'zod';
import { readBody } from './response-body.ts';
import { responseSecrets } from './response-secrets.ts';
import { memberAt } from '../formats/json-path.ts';
import { excerpt, OAuthResponseError } from './oauth-error.ts';
import type { OAuthHttpResponse } from './oauth-http.ts';
import { jsonValue, numberText, parseExactJson } from '../formats/parse-json.ts';
import { parseTime } from '../formats/parse-time.ts';
import { Secret, type MaybeSecret } from '../vault/secret.ts';
import { isSuccess } from '../formats/http-status.ts';

const MAX_LIFETIME_SECONDS = 10 * 365 * 86_400;

type Json = z.core.util.JSONType;

/** A successful token response (RFC 6749 §5.1). */
export interface TokenResponse {
  readonly access_token: Secret<string>;
  readonly refresh_token: Secret<string> | undefined;
  /** Seconds; undefined = the provider did not say. */
  readonly expires_in: number | undefined;
  /** Milliseconds since the epoch, for the few providers that send a time and not a duration. */
  readonly expires_at: number | undefined;
  /** Seconds until the refresh token expires. Not in the RFC, but many providers send it. */
  readonly refresh_token_expires_in: number | undefined;
  /** Milliseconds that the response took. This much of the token's lifetime may have passed. */
  readonly took_ms: number;
  /** The whole response. */
  readonly raw: Secret<Record<string, Json>>;
}

/** The differences between a provider's response and the RFC's. */
export interface TokenResponseFormat {
  /** Token types that the client understands, in lower case (RFC 6749 §7.1); undefined = not checked. */
  readonly tokenTypes: readonly string[] | undefined;
  /** Dotted paths of members that are not at the top, or have another name. */
  readonly paths: Readonly<
    Partial<
      Record<
        'access_token' | 'refresh_token' | 'expires_in' | 'expires_at' | 'refresh_token_expires_in' | 'error',
        string | undefined
      >
    >
  >;
  readonly expiresInUnit: 'seconds' | 'milliseconds';
  /** Values of `error` that mean the same as `invalid_grant` (RFC 6749 §5.2). */
  readonly invalidGrantErrors?: readonly string[];
}

const jsonObject = z.record(z.string(), jsonValue);

/** A response, and the format to read it with. No error message quotes one of the secrets. */
interface Reading {
  readonly response: OAuthHttpResponse;
  readonly format: TokenResponseFormat;
  readonly secrets: readonly Secret<string>[];
}

const TOKENS = ['access_token', 'refresh_token', 'id_token'] as const;

/**
 * Reads tokens from a token endpoint's response, whatever its content type: providers send JSON or form-encoded text,
 * and some report errors with status 200. No error message quotes the `secrets` that were sent, or a token of the
 * response.
 */
export function processTokenResponse(
  response: OAuthHttpResponse,
  format: TokenResponseFormat,
  secrets: readonly Secret<string>[],
): TokenResponse {
  const raw = readBody(response, parseBody);
  const reading = { response, format, secrets: [...secrets, ...tokensIn(raw, format)] };
  if (!isSuccess(response.status) || !raw || isError(raw)) throw rejection(raw, reading);
  const member = (name: keyof TokenResponseFormat['paths']) => memberAt(raw, format.paths[name] ?? name);
  // Some report errors with status 200, under a name of their own.
  if (isMissing(member('access_token')) && !isErrorAbsent(member('error'))) throw rejection(raw, reading);
  assertTokenType(raw['token_type'], reading);
  const seconds = (lifetime: number | undefined) =>
    lifetime === undefined || format.expiresInUnit === 'seconds' ? lifetime : lifetime / 1000;
  return {
    access_token: readToken(member('access_token'), 'access_token', response) ?? throwMissingAccessToken(raw, reading),
    refresh_token: readToken(member('refresh_token'), 'refresh_token', response),
    expires_in: seconds(readLifetime(member('expires_in'))),
    expires_at: format.paths.expires_at === undefined ? undefined : parseTime(member('expires_at')),
    took_ms: response.tookMs ?? 0,
    refresh_token_expires_in: seconds(readLifetime(member('refresh_token_expires_in'))),
    raw: new Secret(raw),
  };
}

/** Returns the tokens in a response. */
function tokensIn(raw: Record<string, Json> | undefined, { paths }: TokenResponseFormat): Secret<string>[] {
  const pathsByName: Partial<Record<string, string>> = paths;
  return responseSecrets(raw, [...TOKENS, ...TOKENS.flatMap((name) => pathsByName[name] ?? [])]);
}

/** Parses a JSON object or form-encoded pairs; undefined for anything else. */
function parseBody(body: string): Record<string, Json> | undefined {
  const text = body.trim();
  if (text.startsWith('{')) return jsonObject.safeParse(parseExactJson(text)).data;
  return /^[\w.~%+-]+=[^\s<>]*$/.test(text) ? Object.fromEntries(new URLSearchParams(text)) : undefined;
}

function isError(raw: Record<string, Json>): boolean {
  return raw['ok'] === false || !isErrorAbsent(raw['error']);
}

/** `error` is text (RFC 6749 §5.2). Some providers send a zero or an empty list there, beside a token. */
function isErrorAbsent(error: unknown): boolean {
  const isEmpty = typeof error === 'object' && error !== null && Object.keys(error).length === 0;
  return isMissing(error) || error === 0 || error === '0' || isEmpty;
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === null || value === '' || value === false;
}

function rejection(raw: Record<string, Json> | undefined, { response, format, secrets }: Reading): OAuthResponseError {
  const code = raw && memberAt(raw, format.paths.error ?? 'error');
  const word = numberText(code) ?? code;
  const named = typeof word === 'string' ? excerpt(word, secrets) : undefined;
  const error = named !== undefined && format.invalidGrantErrors?.includes(named) ? 'invalid_grant' : named;
  const detail = excerpt(raw ? errorWords(raw, code) : unreadableBody(response), secrets);
  return new OAuthResponseError(
    'token_exchange_failed',
    `The token endpoint responded with status ${response.status}: ${detail || '(no reason given)'}`,
    {
      error,
      httpStatus: response.status,
      ...(response.retryAfterMs === undefined ? {} : { retryAfter: Math.ceil(response.retryAfterMs / 1000) }),
    },
  );
}

/** Returns the provider's message. It reads only members that carry messages, because others may be tokens. */
function errorWords(raw: Record<string, Json>, code: unknown): string {
  const { error } = raw;
  const nested = typeof error === 'object' && error !== null && !Array.isArray(error) ? error : {};
  const words = [
    error,
    code,
    raw['error_description'],
    raw['message'],
    raw['errmsg'],
    nested['code'],
    nested['message'],
  ];
  return [...new Set(words.filter((word) => typeof word === 'string' || typeof word === 'number'))].join(': ');
}

/** Describes an unreadable response. A successful one may hold tokens, so it is never quoted. */
function unreadableBody({ status, contentType, body }: OAuthHttpResponse): MaybeSecret {
  return status < 300 ? `a response that is neither JSON nor form-encoded (${contentType || 'no content type'})` : body;
}

/** RFC 6749 §7.1: a client must not use a token whose type it does not understand. Many providers omit the type. */
function assertTokenType(type: Json | undefined, { response, format, secrets }: Reading): void {
  const { tokenTypes: accepted } = format;
  if (accepted === undefined || type === undefined || type === null) return;
  if (typeof type === 'string' && accepted.includes(type.toLowerCase())) return;
  throw unusableResponse(
    `token_type ${excerpt(JSON.stringify(type), secrets)} is not one of ${accepted.join(', ')}. ` +
      'If it is right, add it to auth.token_types',
    response,
  );
}

/** RFC 6749 Appendix A.12 and A.17: tokens are visible ASCII and spaces, so none can split a header. */
function readToken(token: unknown, name: string, response: OAuthHttpResponse): Secret<string> | undefined {
  if (isMissing(token)) return undefined;
  if (typeof token !== 'string') throw unusableResponse(`${name} is not a string`, response);
  if (!/^[\x20-\x7e]+$/.test(token))
    throw unusableResponse(`${name} holds characters that tokens cannot have`, response);
  return new Secret(token);
}

function throwMissingAccessToken(raw: Record<string, Json>, { response, secrets }: Reading): never {
  const fields = Object.keys(raw)
    .slice(0, 20)
    .map((name) => excerpt(name, secrets))
    .join(', ');
  throw unusableResponse(`access_token is missing (fields: ${fields || 'none'})`, response);
}

/** Parses a lifetime, which is at most ten years. Zero and negative values count as unknown. */
function readLifetime(value: unknown): number | undefined {
  const text = numberText(value) ?? value;
  const seconds = typeof text === 'string' && text.trim() !== '' ? Number(text) : undefined;
  if (seconds === undefined || !Number.isFinite(seconds) || seconds <= 0) return undefined;
  return Math.min(seconds, MAX_LIFETIME_SECONDS);
}

function unusableResponse(what: string, { status }: OAuthHttpResponse): OAuthResponseError {
  return new OAuthResponseError('token_exchange_failed', `The token endpoint’s response cannot be used: ${what}.`, {
    httpStatus: status,
  });
}
