/** A field name (RFC 9110 §5.1): a token, in any case. */
export const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Fields that frame a message or are about one connection (RFC 9110 §7.6.1, RFC 9112 §6), in lower case. The HTTP client sets
 * its own: with others a caller could smuggle a second request.
 */
export const FRAMING_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
