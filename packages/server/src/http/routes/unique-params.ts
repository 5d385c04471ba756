import type { FastifyRequest } from 'fastify';

/** Query or form parameters. Undefined where one is repeated, which RFC 6749 §3.1 forbids. */
export function uniqueParams(query: string): ReadonlyMap<string, string> | undefined {
  const pairs = [...new URLSearchParams(query)];
  const params = new Map(pairs);
  return params.size === pairs.length ? params : undefined;
}

/** The query as it was sent, without its question mark. */
export function queryOf({ url }: Pick<FastifyRequest, 'url'>): string {
  const start = url.indexOf('?');
  return start === -1 ? '' : url.slice(start + 1);
}
