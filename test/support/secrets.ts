import type { ResponseParameters } from '../../packages/server/src/oauth/authorization-response.ts';
import type { OAuthHttpRequest } from '../../packages/server/src/oauth/oauth-http.ts';
import { revealText, revealTexts, Secret, toRevealedJson } from '../../packages/server/src/vault/secret.ts';

export function secret<T>(value: T): Secret<T> {
  return new Secret(value);
}

/** A value with its secrets in the clear, as before it is sealed, so that tests can compare it. */
export function revealed(value: unknown): unknown {
  return value === undefined ? undefined : (JSON.parse(toRevealedJson(value)) as unknown);
}

/** A request as it is written to the wire. */
export interface RevealedRequest extends OAuthHttpRequest {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

/** Returns a request with its secrets in the clear. */
export function revealedRequest({ url, headers, body, ...rest }: OAuthHttpRequest): RevealedRequest {
  const text = body === undefined ? {} : { body: revealText(body) };
  return { ...rest, url: revealText(url), headers: revealTexts(headers), ...text };
}

/** Parameters of an authorization response. */
export function responseParameters(values: Iterable<readonly [string, string]>): ResponseParameters {
  const texts = new Map(values);
  const text = (name: string) => texts.get(name);
  return { text, secret: (name) => (texts.has(name) ? new Secret(text(name) ?? '') : undefined) };
}
