import { z } from 'zod';
import { NangoError } from '../errors/nango-error.ts';
import { memberAt } from '../formats/json-path.ts';
import { excerpt } from '../oauth/oauth-error.ts';
import { numberText } from '../formats/parse-json.ts';
import { paginationSchema, type Pagination } from '../schema/request-settings.ts';
import { findReferenced, type ConnectionReference } from '../connections/connection-reference.ts';
import { resolveReference, type RequestTarget } from '../formats/request-target.ts';
import { endpointOf, type ParamValue } from './authorize-request.ts';
import type { CallOrigin } from './call-report.ts';
import { integrationNamed, type ConnectionContext, type OpenConnection } from '../connections/connection-context.ts';
import { createCursor, parseCursor } from '../connections/cursor.ts';
import { invalidEndpoint } from './join-endpoint.ts';
import { nextLink, UNREADABLE } from './next-link.ts';
import type { ApiResponse, Exchange, RetryableRequest } from './send-request.ts';
import { secretTextsIn, type Secret } from '../vault/secret.ts';

/** A request for one page of a list. */
export interface PageRequest extends RetryableRequest {
  /** Keys that override those of the Integration's `requests.pagination`. */
  readonly pagination?: Readonly<Record<string, unknown>> | undefined;
  /** `next` of the previous page. */
  readonly next?: string | undefined;
}

/** One page of a list. */
export interface Page {
  readonly items: unknown[];
  /** The cursor of the next page; null on the last page. */
  readonly next: string | null;
}

/** Reads a page of a list from a connection's API. */
export type ReadPage = (reference: ConnectionReference, request: PageRequest, origin: CallOrigin) => Promise<Page>;

/** The parts that {@link createReadPage} needs. */
export interface ReadPageOptions {
  readonly exchange: Exchange;
  readonly context: ConnectionContext;
}

/**
 * Returns the function that reads pages as the Blueprint configures them. Throws `page_failed` if the API refuses a
 * page, or if its response is not JSON or has no list at the configured place. Throws `invalid_endpoint` for a next
 * link that may not be followed, and `invalid_request` if no pagination is configured.
 */
export function createReadPage({ exchange, context }: ReadPageOptions): ReadPage {
  return async (reference, { pagination: overrides, next, ...request }, origin) => {
    const name = reference.integration ?? (await findReferenced(reference, context)).integration;
    const pagination = paginationOf(name, overrides, context);
    const position = next === undefined ? undefined : parseCursor(next, positionSchema);
    if (position && 'refused' in position) throw refusedLink(position.refused);
    if (position && 'unreadable' in position)
      throw new NangoError(
        'page_failed',
        'The Link header of the previous page cannot be read, so the next page is unknown.',
      );
    const exchanged = await exchange(reference, requestAt(request, pagination, position), origin);
    const { response } = exchanged;
    if (response.status >= 400)
      throw new NangoError(
        'page_failed',
        `The API responded with ${response.status} ${response.statusText} to a page.`,
      );
    const items = itemsOf(exchanged, pagination);
    const following = followingPosition(pagination, { ...exchanged, items, position });
    const isSame = JSON.stringify(following) === JSON.stringify(position);
    return { items, next: following === undefined || isSame ? null : toCursor(following) };
  };
}

/**
 * Where a page begins: at an endpoint, or at a value of a parameter. A link that may not be followed is a position,
 * too, so the page that named it is delivered before the error.
 */
const positionSchema = z.union([
  z.tuple([z.literal('refused'), z.string().max(1_000)]).transform(([, refused]) => ({ refused })),
  z.tuple([z.literal('unreadable')]).transform(() => ({ unreadable: true as const })),
  z.tuple([z.literal('endpoint'), z.string().max(16_384)]).transform(([, endpoint]) => ({ endpoint })),
  z.tuple([z.literal('value'), z.union([z.string().max(16_384), z.number()])]).transform(([, value]) => ({ value })),
]);

type Position = z.output<typeof positionSchema>;

function toCursor(position: Position): string {
  if ('refused' in position) return createCursor(['refused', position.refused]);
  if ('unreadable' in position) return createCursor(['unreadable']);
  return createCursor('endpoint' in position ? ['endpoint', position.endpoint] : ['value', position.value]);
}

function paginationOf(
  integration: string,
  overrides: PageRequest['pagination'],
  context: ConnectionContext,
): Pagination {
  const { pagination } = integrationNamed(integration, context).requests;
  if (!overrides && pagination) return pagination;
  if (!overrides)
    throw new NangoError(
      'invalid_request',
      `No pagination is configured for "${integration}". Set requests.pagination, or pass pagination with the request.`,
    );
  const isSameType = overrides['type'] === undefined || overrides['type'] === pagination?.type;
  const parsed = paginationSchema.safeParse({ ...(isSameType ? pagination : {}), ...overrides });
  if (parsed.success) return parsed.data;
  throw new NangoError('invalid_request', `pagination: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`);
}

function requestAt(
  request: RetryableRequest,
  pagination: Pagination,
  position: Position | undefined,
): RetryableRequest {
  if (position && 'endpoint' in position) return { ...request, endpoint: position.endpoint, params: undefined };
  if (pagination.type === 'link') return request;
  const { limit_param: limitParam, limit } = pagination;
  const params: Record<string, ParamValue> = { ...request.params };
  if (limitParam !== undefined && limit !== undefined && params[limitParam] === undefined) params[limitParam] = limit;
  const value = valueOf(position);
  if (pagination.type === 'cursor')
    return { ...request, params: { ...params, ...(value === undefined ? {} : { [pagination.cursor_param]: value }) } };
  return { ...request, params: { ...params, [pagination.offset_param]: value ?? startOf(pagination) } };
}

function valueOf(position: Position | undefined): string | number | undefined {
  return position && 'value' in position ? position.value : undefined;
}

function startOf({ start, unit }: Extract<Pagination, { type: 'offset' }>): number {
  return start ?? (unit === 'pages' ? 1 : 0);
}

function itemsOf(
  { response, connection }: Pick<Following, 'response' | 'connection'>,
  { items }: Pagination,
): unknown[] {
  const { status, headers, json } = response;
  // Some APIs send no content for an empty list.
  if (status === 204) return [];
  if (json === undefined) {
    const type = excerpt(String(headers['content-type'] ?? 'none'), secretsOf(connection));
    throw new NangoError('page_failed', `The response to a page is not JSON; its content type: ${type}.`);
  }
  const list = items === undefined ? json : memberAt(json, items);
  if (Array.isArray(list)) return list;
  if (items?.endsWith('*'))
    throw new NangoError('page_failed', 'The response has no list, or more than one: name it in pagination.items.');
  // Some APIs omit an empty list.
  if (items !== undefined && (list === undefined || list === null)) return [];
  const where = items === undefined ? 'The response' : `"${items}" in the response`;
  throw new NangoError('page_failed', `${where} is not a list.`);
}

interface Following {
  readonly response: ApiResponse;
  readonly target: RequestTarget;
  readonly connection: OpenConnection;
  readonly items: readonly unknown[];
  readonly position: Position | undefined;
}

function followingPosition(
  pagination: Pagination,
  { response, target, connection, items, position }: Following,
): Position | undefined {
  if (pagination.type === 'link') {
    const { next } = pagination;
    const link = next === undefined ? nextLink(response.headers['link']) : memberAt(response.json, next);
    if (link === UNREADABLE) return { unreadable: true };
    return typeof link === 'string' && link !== ''
      ? linkedPosition(link, pagination, { target, connection })
      : undefined;
  }
  if (pagination.more !== undefined && memberAt(response.json, pagination.more) === false) return undefined;
  if (pagination.type === 'cursor') {
    const member = memberAt(response.json, pagination.cursor);
    const cursor = typeof member === 'number' || typeof member === 'string' ? member : numberText(member);
    return cursor === undefined || cursor === '' ? undefined : { value: cursor };
  }
  if (items.length < pagination.limit) return undefined;
  const from = Number(valueOf(position) ?? startOf(pagination));
  return { value: from + (pagination.unit === 'pages' ? 1 : items.length) };
}

function linkedPosition(
  link: string,
  { follow }: Extract<Pagination, { type: 'link' }>,
  { target, connection }: Pick<Following, 'target' | 'connection'>,
): Position {
  const url = resolveReference(link, target);
  const refused = { refused: excerpt(url ? url.origin + url.pathname : '', secretsOf(connection)) };
  // The path of the previous page has the gateway's prefix, which the API does not know.
  const followed = follow === 'query' ? url?.search : link;
  if (followed === undefined || followed === '') return refused;
  try {
    return { endpoint: endpointOf(followed, target, connection) };
  } catch (error) {
    if (error instanceof NangoError) return refused;
    throw error;
  }
}

/** The secrets that a response of the connection's API may repeat. */
function secretsOf({ credentials, integration }: OpenConnection): Secret<string>[] {
  return secretTextsIn(credentials, integration);
}

function refusedLink(link: string): NangoError {
  return invalidEndpoint(
    `the API named ${excerpt(link) || 'something that is not a URL'} as the next page, ` +
      'which is not below the base_url. If it omits the prefix of a gateway, set pagination.follow: query',
  );
}
