/** Percent-encoding as RFC 5849 §3.6 prescribes: everything but unreserved characters, in UTF-8, upper case. */
export function percentEncode(text: string): string {
  // encodeURIComponent does not encode five characters that RFC 3986 reserves.
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
