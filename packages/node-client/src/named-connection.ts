import { NangoClientError } from './client-error.ts';
import type { ApiRequest } from './types.ts';

const TEXTS = ['connectionId', 'integration', 'userId', 'account'] as const;

/** The fields of a reference, as the server takes them. */
export type ReferenceFields = { [Field in (typeof TEXTS)[number]]?: string };

/**
 * Splits a method's parameters into the connection and the others. A connection is named by Integration and user, which
 * is their default account, or by one reference. Throws `invalid_input` if the first parameters name no connection:
 * plain JavaScript may pass anything.
 */
export function splitNamed<Rest extends unknown[] = unknown[]>(
  parameters: readonly unknown[],
): [ReferenceFields, Rest] {
  const [first, second, ...rest] = parameters;
  if (typeof first !== 'object' || first === null)
    return [{ integration: assertText('integration', first), userId: assertText('userId', second) }, rest as Rest];
  const given: Record<string, unknown> = { ...first };
  const fields: ReferenceFields = {};
  for (const field of TEXTS) if (given[field] !== undefined) fields[field] = assertText(field, given[field]);
  if (fields.connectionId === undefined) for (const field of ['integration', 'userId']) assertText(field, given[field]);
  return [fields, parameters.slice(1) as Rest];
}

/** Throws `invalid_input` unless a value is non-empty text. */
export function assertText(name: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new NangoClientError('invalid_input', `${name} must be non-empty text.`);
}

/** The fields of a `NewConnection` that name no connection. */
export function accountOptions([first]: readonly unknown[]): Record<'newAccount' | 'tags' | 'oauthClient', unknown> {
  const given: { newAccount?: unknown; tags?: unknown; oauthClient?: unknown } =
    typeof first === 'object' ? (first ?? {}) : {};
  return { newAccount: given.newAccount, tags: given.tags, oauthClient: given.oauthClient };
}

/** The fields of a request, without others: a request that comes from elsewhere must not name another connection. */
export function requestFields({ method, endpoint, params, headers, body, retry }: ApiRequest): ApiRequest {
  return { method, endpoint, params, headers, body, retry } as ApiRequest;
}
