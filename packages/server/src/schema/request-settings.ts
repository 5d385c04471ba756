import { z } from 'zod';
import type { Fields } from './fields.ts';
import { isSecureUrl } from './loopback-host.ts';
import { FIELD_NAME } from '../formats/header-fields.ts';

/** Time limits of a streamed request, in milliseconds; 0 = none. */
export interface RequestTimeouts {
  readonly connectMs: number;
  /** Until the response begins. */
  readonly headersMs: number;
  /** Between two chunks of the response. */
  readonly idleMs: number;
  readonly totalMs: number;
}

/** Limits of concurrent requests in one server. */
export interface ConcurrencyLimits {
  readonly perIntegration: number;
  readonly perConnection: number;
  /** How long a request may wait for its turn. */
  readonly queueSeconds: number;
}

/** How an API reports that its quota is used up, if it deviates from the RFCs. Header names are in lower case. */
export type RateLimit = z.output<typeof rateLimitSchema>;

/** How an API splits a list into pages. */
export type Pagination = z.output<typeof paginationSchema>;

const MAX_SECONDS = 86_400;
const headerName = z.string().regex(FIELD_NAME, 'is not a valid header name').toLowerCase();
const jsonPath = z
  .string()
  .max(200)
  .regex(/^[^.\s]+(\.[^.\s]+)*$/, 'must be names joined by dots, such as data.items');
const name = z.string().min(1).max(200);

/** The schema of `requests.rate_limit`. */
export const rateLimitSchema = z.strictObject({
  statuses: z
    .array(z.number().int().min(400).max(599))
    .max(10)
    .default([])
    .describe('Statuses other than 429 that mean an empty quota; with remaining_header only if that is 0'),
  remaining_header: headerName.optional().describe('Header with the number of requests left'),
  reset_header: headerName.optional().describe('Header with the time of the next quota, in addition to Retry-After'),
  reset_format: z
    .enum(['seconds', 'epoch', 'epoch_ms', 'date'])
    .default('seconds')
    .describe('seconds from now; seconds or milliseconds since 1970; or a date'),
});

const items = jsonPath
  .optional()
  .describe('Path of the items in the response, such as data.items, "*" for its only list; default: the response');
const more = jsonPath
  .optional()
  .describe('Path in the response that says whether another page follows; false ends the list');
const pageSize = z.number().int().min(1).max(10_000);

/** The schema of `requests.pagination`. */
export const paginationSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('link').describe('The next page’s URL: in the Link header (RFC 8288), or in the response'),
    items,
    next: jsonPath.optional().describe('Path of the URL in the response; default: the Link header with rel="next"'),
    follow: z
      .enum(['url', 'query'])
      .default('url')
      .describe('query: only the query of the URL is used, with the endpoint of the previous page'),
  }),
  z.strictObject({
    type: z.literal('cursor').describe('The response has a cursor, and the next request sends it'),
    items,
    cursor: jsonPath.describe(
      'Path of the cursor in the response, such as next or data.-1.id; absent, null or empty on the last page',
    ),
    more,
    cursor_param: name.describe('Parameter for the cursor'),
    limit_param: name.optional().describe('Parameter for the size of a page'),
    limit: pageSize.optional().describe('Number of items of a page'),
  }),
  z.strictObject({
    type: z.literal('offset').describe('Each request says where its page begins'),
    items,
    offset_param: name.describe('Parameter for the beginning of a page'),
    more,
    unit: z.enum(['items', 'pages']).default('items').describe('Unit of the parameter'),
    start: z
      .number()
      .int()
      .min(0)
      .max(1)
      .optional()
      .describe('Value for the first page; default 0 for items and 1 for pages'),
    limit_param: name.optional().describe('Parameter for the size of a page'),
    limit: pageSize.describe('Number of items of a page; a page with fewer items is the last'),
  }),
]);

/** Creates the keys of `requests` that concern neither the address nor the contents. */
export function requestBehaviourShape() {
  return {
    rate_limit: rateLimitSchema.optional().describe('How the API reports that its quota is used up'),
    redirect_origins: z
      .array(
        z
          .string()
          .refine(isOrigin, 'must be an origin such as https://files.example.com')
          .transform((text) => new URL(text).origin),
      )
      .max(20)
      .default([])
      .describe('Other origins that redirects may lead to; they receive no credentials'),
    pagination: paginationSchema.optional().describe('How the API splits lists into pages'),
  };
}

function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && isSecureUrl(url, false) && [url.origin, `${url.origin}/`].includes(text);
}

/** Creates the keys of an Integration that limit its requests. */
export function requestBoundsShape(fields: Fields) {
  const seconds = () => fields.number({ min: 0, max: MAX_SECONDS }).optional();
  const count = () => fields.number({ min: 1, max: 100_000, integer: true }).optional();
  return {
    http_request_timeout_seconds: seconds().describe('Time limit of a request; 0 = no limit'),
    request_timeouts: z
      .strictObject({
        connect_seconds: seconds().describe('Until the connection is made; default 10'),
        headers_seconds: seconds().describe('Until the response begins; default http_request_timeout_seconds'),
        idle_seconds: seconds().describe('Between two chunks of a response; default http_request_timeout_seconds'),
        total_seconds: seconds().describe('For the whole request; default 0, no limit'),
      })
      .optional()
      .describe('Time limits of requests through the proxy; 0 = no limit'),
    max_concurrent_requests: count().describe('Concurrent requests to the API in one server; default 1000'),
    max_concurrent_requests_per_connection: count().describe(
      'Concurrent requests of one connection in one server; default 100',
    ),
    max_queue_seconds: fields
      .number({ min: 0, max: 600 })
      .optional()
      .describe('How long a request may wait for its turn before it receives 429; default 10'),
  };
}

/** The limits that an Integration configures. */
interface ConfiguredBounds {
  readonly http_request_timeout_seconds?: number | undefined;
  readonly request_timeouts?:
    | Partial<Record<'connect_seconds' | 'headers_seconds' | 'idle_seconds' | 'total_seconds', number | undefined>>
    | undefined;
  readonly max_concurrent_requests?: number | undefined;
  readonly max_concurrent_requests_per_connection?: number | undefined;
  readonly max_queue_seconds?: number | undefined;
}

/** Returns an Integration's limits, with defaults for those that are not configured. */
export function requestBounds(
  configured: ConfiguredBounds,
  defaultTimeoutSeconds: number,
): { httpRequestTimeoutSeconds: number; timeouts: RequestTimeouts; limits: ConcurrencyLimits } {
  const timeoutSeconds = configured.http_request_timeout_seconds ?? defaultTimeoutSeconds;
  const { connect_seconds, headers_seconds, idle_seconds, total_seconds } = configured.request_timeouts ?? {};
  return {
    httpRequestTimeoutSeconds: timeoutSeconds,
    timeouts: {
      connectMs: (connect_seconds ?? 10) * 1000,
      headersMs: (headers_seconds ?? timeoutSeconds) * 1000,
      idleMs: (idle_seconds ?? timeoutSeconds) * 1000,
      totalMs: (total_seconds ?? 0) * 1000,
    },
    limits: {
      perIntegration: configured.max_concurrent_requests ?? 1_000,
      perConnection: configured.max_concurrent_requests_per_connection ?? 100,
      queueSeconds: configured.max_queue_seconds ?? 10,
    },
  };
}
