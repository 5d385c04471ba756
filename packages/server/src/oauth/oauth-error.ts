import { NangoError, type NangoErrorOptions } from '../errors/nango-error.ts';
import type { ErrorCode } from '../errors/registry.ts';
import { revealText, type MaybeSecret, type Secret } from '../vault/secret.ts';
import { longestForm, maskSecrets } from './mask-secrets.ts';

const MAX_EXCERPT = 300;
// The message of an HTML page follows its head, which may be long.
const MAX_SCANNED = 16_384;

/** A rejection by an authorization server, with its `error` code (RFC 6749 §4.1.2.1, §5.2) if there was one. */
export class OAuthResponseError extends NangoError {
  /** Such as `invalid_grant`; undefined if the response had none. */
  readonly error: string | undefined;
  /** The HTTP status of the response; undefined for an authorization response, which has none. */
  readonly httpStatus: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    details: { error?: string | undefined; httpStatus?: number | undefined } & NangoErrorOptions,
  ) {
    super(code, message, details);
    this.error = details.error;
    this.httpStatus = details.httpStatus;
  }
}

/**
 * Returns a short, one-line excerpt of a provider's text, without markup, control characters and any of the `secrets`
 * that were sent, in whatever encoding. Only the beginning of the text is read.
 */
export function excerpt(text: MaybeSecret, secrets: readonly Secret<string>[] = []): string {
  const line = withoutMarkup(beginningOf(revealText(text), secrets))
    .replace(/[\p{Cc}\u2028\u2029\s]+/gu, ' ')
    .trim();
  return line.length > MAX_EXCERPT ? `${line.slice(0, MAX_EXCERPT)}…` : line;
}

/**
 * Returns the masked part that may be quoted. A secret at the cut would escape the mask, so it is removed as a whole.
 */
function beginningOf(text: string, secrets: readonly Secret<string>[]): string {
  if (text.length <= MAX_SCANNED) return maskSecrets(text, secrets);
  const masked = maskSecrets(text.slice(0, MAX_SCANNED), secrets);
  return masked.slice(0, Math.max(0, masked.length - longestForm(secrets)));
}

/** Removes tags, scripts and style sheets. It reads each character once. */
function withoutMarkup(text: string): string {
  const lower = text.toLowerCase();
  // A lower-case text can be longer, as for "İ". Then positions would differ.
  const searched = lower.length === text.length ? lower : text;
  let words = '';
  let at = 0;
  while (at < text.length) {
    const tag = text.indexOf('<', at);
    if (tag === -1) return words + text.slice(at);
    words += `${text.slice(at, tag)} `;
    const hidden = ['script', 'style'].find((name) => searched.startsWith(name, tag + 1));
    const from = hidden === undefined ? tag : searched.indexOf(`</${hidden}`, tag);
    const end = from === -1 ? -1 : text.indexOf('>', from);
    // An unfinished tag extends to the end.
    if (end === -1) return words;
    at = end + 1;
  }
  return words;
}
