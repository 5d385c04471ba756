import { NangoError } from '../errors/nango-error.ts';
import { headerValue } from '../schema/render.ts';
import { revealText, type MaybeSecret } from '../vault/secret.ts';
import { FIELD_NAME, FRAMING_FIELDS } from '../formats/header-fields.ts';

/** A configured header or parameter with its value. One with a placeholder is a credential and takes precedence. */
export interface RenderedField {
  readonly name: string;
  readonly value: MaybeSecret;
  readonly isCredential: boolean;
}

/** Header names in lower case. */
type Headers = Record<string, string>;

/**
 * Returns a request's headers. Precedence, lowest first: configured constants, the caller's headers, configured
 * credentials. `configured` went through {@link checkedHeader}. Throws `invalid_value`.
 */
export function authorizedHeaders(
  configured: readonly RenderedField[],
  callerHeaders: Readonly<Headers> = {},
): Headers {
  const headers: Headers = {};
  for (const { name, value, isCredential } of configured) if (!isCredential) headers[name] = revealText(value);
  for (const name of Object.keys(callerHeaders)) {
    const lower = name.toLowerCase();
    headers[lower] = checkedHeader(lower, callerHeaders[name] ?? '');
  }
  for (const { name, value, isCredential } of configured) if (isCredential) headers[name] = revealText(value);
  return headers;
}

/**
 * Returns a header's value after checking it; `lower` is its name. Throws `invalid_value` for an invalid name or value,
 * or a header that frames the message.
 */
export function checkedHeader(lower: string, value: string): string {
  if (!FIELD_NAME.test(lower))
    throw new NangoError('invalid_value', 'A header name holds characters that header names cannot have.');
  if (FRAMING_FIELDS.has(lower))
    throw new NangoError('invalid_value', `The HTTP client sets the header "${lower}" itself. Remove it.`);
  return headerValue(lower, value);
}
