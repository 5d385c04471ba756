import { z } from 'zod';
import { NangoError } from '../errors/nango-error.ts';
import { memberAt } from '../oauth/json-path.ts';
import { paginationSchema, type Pagination } from '../schema/request-settings.ts';
import type { ConnectionKey } from '../store/store.ts';
import { endpointOf, type ParamValue } from './authorize-request.ts';
import type { CallOrigin } from './call-report.ts';
import type { ConnectionContext } from './connection-context.ts';
import { integrationNamed } from './connection-context.ts';
import { createCursor, parseCursor } from './cursor.ts';
import type { FreshCredentials } from './fresh-credentials.ts';
import { nextLink } from './next-link.ts';
import type { ApiResponse, SendRequest, SentRequest } from './send-request.ts';

/** One page of a list. */
export interface PageRequest extends SentRequest {
  /** Keys that override those of the Integration's `requests.pagination`. */
  readonly pagination?: Readonly<Record<string, unknown>> | undefined;
  /** `next` of the page before. */
  readonly next?: string | undefined;
}

export interface Page {
  readonly items: unknown[];
  /** Where to go on; null on the last page. */
  readonly next: string | null;
}

/** Reads a page of a list from a connection's API. */
export type ReadPage = (key: ConnectionKey, request: PageRequest, origin: CallOrigin) => Promise<Page>;

export interface ReadPageOptions {
  readonly sendRequest: SendRequest;
  readonly fresh: FreshCredentials;
  readonly context: ConnectionContext;
}

/**
 * Pages as the Blueprint describes them, whatever the API calls them. Throws `page_failed` when the API refuses a page or
 * its answer has no list where one should be, `invalid_request` when nothing says how the list is split into pages.
 */
export function createReadPage({ sendRequest, fresh, context }: ReadPageOptions): ReadPage {
  return async (key, { pagination: given, next, ...request }, origin) => {
    const pagination = paginationOf(key, given, context);
    const position = next === undefined ? undefined : parseCursor(next, positionSchema);
    const response = await sendRequest(key, requestAt(request, pagination, position), origin);
    if (response.status >= 400)
      throw new NangoError('page_failed', `The API answered ${response.status} ${response.statusText} to a page.`);
    const items = itemsOf(response, pagination);
    const follows = await followingPosition(pagination, { response, items, position, key, fresh });
    const isSame = JSON.stringify(follows) === JSON.stringify(position);
    return { items, next: follows === undefined || isSame ? null : toCursor(follows) };
  };
}

/** Where a page begins: at an endpoint, or at a value of the parameter that says so. */
const positionSchema = z.union([
  z.tuple([z.literal('endpoint'), z.string().max(16_384)]).transform(([, endpoint]) => ({ endpoint })),
  z.tuple([z.literal('value'), z.union([z.string().max(16_384), z.number()])]).transform(([, value]) => ({ value })),
]);

type Position = z.output<typeof positionSchema>;

function toCursor(position: Position): string {
  return createCursor('endpoint' in position ? ['endpoint', position.endpoint] : ['value', position.value]);
}

function paginationOf(
  { integration }: ConnectionKey,
  given: PageRequest['pagination'],
  context: ConnectionContext,
): Pagination {
  const { pagination } = integrationNamed(integration, context).requests;
  if (!given && pagination) return pagination;
  if (!given)
    throw new NangoError(
      'invalid_request',
      `Nothing says how lists of "${integration}" are split into pages: set requests.pagination, or pass pagination.`,
    );
  const isSameType = given['type'] === undefined || given['type'] === pagination?.type;
  const parsed = paginationSchema.safeParse({ ...(isSameType ? pagination : {}), ...given });
  if (parsed.success) return parsed.data;
  throw new NangoError('invalid_request', `pagination: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`);
}

function requestAt(request: SentRequest, pagination: Pagination, position: Position | undefined): SentRequest {
  if (position && 'endpoint' in position) return { ...request, endpoint: position.endpoint, params: undefined };
  if (pagination.type === 'link') return request;
  const { limit_param: limitParam, limit } = pagination;
  const params: Record<string, ParamValue> = { ...request.params };
  if (limitParam !== undefined && limit !== undefined && params[limitParam] === undefined) params[limitParam] = limit;
  if (pagination.type === 'cursor')
    return { ...request, params: { ...params, ...at(pagination.cursor_param, position) } };
  return { ...request, params: { ...params, [pagination.offset_param]: position?.value ?? startOf(pagination) } };
}

function at(name: string, position: { value: string | number } | undefined): Record<string, ParamValue> {
  return position ? { [name]: position.value } : {};
}

function startOf({ start, unit }: Extract<Pagination, { type: 'offset' }>): number {
  return start ?? (unit === 'pages' ? 1 : 0);
}

function itemsOf({ json }: ApiResponse, { items }: Pagination): unknown[] {
  const list = items === undefined ? json : memberAt(json, items);
  if (Array.isArray(list)) return list;
  if (items?.endsWith('*'))
    throw new NangoError('page_failed', 'The answer has no list, or more than one: name it in pagination.items.');
  // Some APIs leave an empty list out.
  if (items !== undefined && (list === undefined || list === null)) return [];
  const where = items === undefined ? 'The answer' : `"${items}" in the answer`;
  throw new NangoError('page_failed', `${where} is no list.`);
}

interface Following extends Pick<ReadPageOptions, 'fresh'> {
  readonly response: ApiResponse;
  readonly items: readonly unknown[];
  readonly position: Position | undefined;
  readonly key: ConnectionKey;
}

async function followingPosition(
  pagination: Pagination,
  { response, items, position, key, fresh }: Following,
): Promise<Position | undefined> {
  if (pagination.type === 'link') {
    const { next } = pagination;
    const url = next === undefined ? nextLink(response.headers['link']) : memberAt(response.json, next);
    if (typeof url !== 'string' || url === '') return undefined;
    return { endpoint: endpointOf(url, await fresh.get(key)) };
  }
  if (pagination.more !== undefined && memberAt(response.json, pagination.more) === false) return undefined;
  if (pagination.type === 'cursor') {
    const cursor = memberAt(response.json, pagination.cursor);
    return (typeof cursor === 'string' || typeof cursor === 'number') && cursor !== '' ? { value: cursor } : undefined;
  }
  if (items.length < pagination.limit) return undefined;
  const from = position && 'value' in position ? Number(position.value) : startOf(pagination);
  return { value: from + (pagination.unit === 'pages' ? 1 : items.length) };
}
