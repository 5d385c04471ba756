/** Matches a field name (RFC 9110 §5.1): a token, in any case. */
export const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** The fields of a message by their names in lower case. A list holds the values of a repeated field. */
export type HeaderFields = Readonly<Record<string, string | string[] | undefined>>;

/**
 * Fields that frame a message or concern one connection (RFC 9110 §7.6.1, RFC 9112 §6), in lower case. Only the HTTP
 * client sets them, because a caller's fields could smuggle in a second request.
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
