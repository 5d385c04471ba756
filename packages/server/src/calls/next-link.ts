import LinkHeader from 'http-link-header';

// The HTTP client takes no larger headers; the parser's time grows with the square of their length.
const MAX_HEADER = 16_384;

/** The target of `rel="next"` in a Link header (RFC 8288 §3); undefined where there is none, or the header is malformed. */
export function nextLink(header: string | string[] | undefined): string | undefined {
  const text = [header ?? []].flat().join(', ');
  if (text.length > MAX_HEADER) return undefined;
  try {
    return LinkHeader.parse(text).refs.find(({ rel }) => rel.toLowerCase() === 'next')?.uri;
  } catch {
    return undefined;
  }
}
