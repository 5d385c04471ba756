/** The headers of every response of a route. */
export function routeHeaders(requestId: string) {
  return { 'x-content-type-options': 'nosniff', 'nango-request-id': requestId };
}

/** The header of a response that no cache may store, because it holds credentials. */
export const NO_STORE = { 'cache-control': 'no-store' } as const;
