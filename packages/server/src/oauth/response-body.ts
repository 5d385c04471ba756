import type { OAuthHttpResponse } from './oauth-http.ts';

/**
 * Parses the body of a response, which may hold tokens. Protocol code reads responses only here. `parse` must return
 * credentials as secrets.
 */
export function readBody<T>({ body }: Pick<OAuthHttpResponse, 'body'>, parse: (text: string) => T): T {
  return body.map(parse).reveal();
}

/** Returns the target of a redirect from the URL `from`; undefined if the response names none that can be read. */
export function readLocation({ location }: Pick<OAuthHttpResponse, 'location'>, from: string): URL | undefined {
  return location?.map((target) => URL.parse(target, from) ?? undefined).reveal();
}
