import { z } from 'zod';

const paramValue = z.union([z.string(), z.number(), z.boolean()]);

/** A request to an external API, as SDKs and Actions describe it. */
export const apiRequestSchema = z.object({
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD']).default('GET'),
  endpoint: z.string().max(16_384).describe('Relative to the Integration’s base_url; may have a query'),
  params: z
    .record(z.string(), z.union([paramValue, z.null(), z.array(paramValue)]))
    .optional()
    .describe('Query parameters; a list repeats one, null leaves it out'),
  headers: z.record(z.string(), z.string()).optional(),
  body: z.json().optional().describe('A string is sent as it is, everything else as JSON'),
});
