import type { FastifyRequest } from 'fastify';
import { NangoError } from '../../errors/nango-error.ts';
import { Secret } from '../../vault/secret.ts';

/** Reads parameters of a request one by one. Undefined if it is absent or empty. Throws `invalid_state` if repeated. */
export interface UniqueParams {
  /** Returns a parameter that is a credential, such as `code` and `state`. */
  secret(name: string): Secret<string> | undefined;
  /** Returns a parameter that is no credential, such as `error`. */
  text(name: string): string | undefined;
}

/**
 * Parses query or form parameters. An empty one counts as absent. A parameter that is read must not be repeated (RFC
 * 6749 §3.1). The provider's own parameters are ignored.
 */
export function uniqueParams(query: string): UniqueParams {
  const values = new Map<string, Secret<string>>();
  const repeated = new Set<string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (value === '') continue;
    if (values.has(name)) repeated.add(name);
    values.set(name, new Secret(value));
  }
  const unique = (name: string) => {
    if (repeated.has(name)) throw new NangoError('invalid_state', `The response repeats the parameter "${name}".`);
    return values.get(name);
  };
  return { secret: unique, text: (name) => unique(name)?.reveal() };
}

/** Returns the query as it was sent, without its question mark. */
export function queryOf({ url }: Pick<FastifyRequest, 'url'>): string {
  const start = url.indexOf('?');
  return start === -1 ? '' : url.slice(start + 1);
}
