import { z } from 'zod';
import { jsonValueSchema } from '../connections/json-value.ts';

const paramValue = z.union([z.string(), z.number(), z.boolean()]);

/** A request to an external API, as SDKs and Actions send it. */
export const apiRequestSchema = z.object({
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD']).default('GET'),
  endpoint: z
    .string()
    .max(16_384)
    .describe('The endpoint, relative to the Integration’s base_url. It may have a query'),
  params: z
    .record(z.string(), z.union([paramValue, z.null(), z.array(paramValue)]))
    .optional()
    .describe('Query parameters. A list repeats the parameter, and null omits it'),
  headers: z.record(z.string(), z.string()).optional(),
  body: jsonValueSchema.optional().describe('A string is sent unchanged. Every other value is sent as JSON'),
  retry: z
    .strictObject({
      maxRetries: z.number().int().min(0).max(10).optional().describe('Maximum number of retries. Default: 3'),
      anyMethod: z
        .boolean()
        .default(false)
        .describe('true: requests with methods that are not idempotent are retried, too'),
    })
    .optional()
    .describe('Whether the request is retried if the API’s quota is used up'),
});

/** A request for a page of a list. */
export const pageRequestSchema = apiRequestSchema.extend({
  pagination: z
    .record(z.string(), jsonValueSchema)
    .optional()
    .describe('Keys that override those of requests.pagination. The configuration reference lists them'),
  next: z.string().max(50_000).optional().describe('next of the previous page'),
});

export const pageSchema = z.object({
  items: z.array(z.unknown()),
  next: z.string().nullable().describe('The position of the next page. Null on the last page'),
});
