import LinkHeader from 'http-link-header';

// The HTTP client accepts no larger headers. The parser's time grows with the square of their length.
const MAX_HEADER = 16_384;

/** A Link header that cannot be parsed, so it is unknown whether the list continues. */
export const UNREADABLE = Symbol('unreadable');

/** Returns the target of `rel="next"` in a Link header (RFC 8288 §3); undefined if there is none. */
export function nextLink(header: string | string[] | undefined): string | typeof UNREADABLE | undefined {
  const text = [header ?? []]
    .flat()
    .filter((part) => part.trim() !== '')
    .join(', ');
  if (text === '') return undefined;
  if (text.length > MAX_HEADER) return UNREADABLE;
  try {
    const links: readonly Partial<LinkHeader.Reference>[] = LinkHeader.parse(text).refs;
    return links.find(({ rel }) => rel?.toLowerCase() === 'next')?.uri;
  } catch {
    return UNREADABLE;
  }
}
