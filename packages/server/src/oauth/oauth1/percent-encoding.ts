/** Percent-encodes everything except unreserved characters, in UTF-8 and upper case (RFC 5849 §3.6). */
export function percentEncode(text: string): string {
  // encodeURIComponent does not encode five characters that RFC 3986 reserves.
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
