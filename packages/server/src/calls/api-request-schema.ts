import { z } from 'zod';
import { jsonValueSchema } from '../connections/json-value.ts';

const paramValue = z.union([z.string(), z.number(), z.boolean()]);

/** A request to an external API, as SDKs and Actions send it. */
export const apiRequestSchema = z.object({
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD']).default('GET'),
  endpoint: z.string().max(16_384).describe('Relative to the Integration’s base_url; may have a query'),
  params: z
    .record(z.string(), z.union([paramValue, z.null(), z.array(paramValue)]))
    .optional()
    .describe('Query parameters; a list repeats one, null leaves it out'),
  headers: z.record(z.string(), z.string()).optional(),
  body: jsonValueSchema.optional().describe('A string is sent as it is, everything else as JSON'),
  retry: z
    .strictObject({
      maxRetries: z.number().int().min(0).max(10).optional().describe('Default: 3'),
      anyMethod: z
        .boolean()
        .default(false)
        .describe('true: methods that are not idempotent are sent again too, when the API is out of quota'),
    })
    .optional()
    .describe('How often the request may be sent again when the API is out of quota'),
});

/** A request for a page of a list. */
export const pageRequestSchema = apiRequestSchema.extend({
  pagination: z
    .record(z.string(), jsonValueSchema)
    .optional()
    .describe('Keys that override those of requests.pagination, see the configuration reference'),
  next: z.string().max(50_000).optional().describe('next of the page before'),
});

export const pageSchema = z.object({
  items: z.array(z.unknown()),
  next: z.string().nullable().describe('Where to go on; null on the last page'),
});
