import { z } from 'zod';
import { blueprintSummarySchema } from '../../catalog/blueprint-index.ts';
import { NangoError } from '../../errors/nango-error.ts';
import { errorBodySchema } from '../error-mapper.ts';
import type { App, ServerContext } from '../server-context.ts';

const sections = z.record(z.string(), z.unknown());
const blueprintSchema = blueprintSummarySchema.extend({
  version: z.string().describe('The version of this response'),
  consoleUrl: z.string().nullable().describe('The provider’s page for registering an application'),
  comment: z.string().nullable().describe('Notes for developers who use the Blueprint'),
  auth: sections,
  config: sections,
  requests: sections,
});
const errors = { 400: errorBodySchema, 401: errorBodySchema };

/** Searches and reads the catalog of Blueprints. */
export function blueprintRoutes({ blueprints, blueprintIndex }: ServerContext) {
  return async (app: App): Promise<void> => {
    app.get(
      '/blueprints',
      {
        config: { scope: 'any' },
        schema: {
          summary: 'Search the catalog of Blueprints',
          querystring: z.object({
            q: z.string().max(200).default('').describe('Words that occur in the name, the provider or the categories'),
            category: z.string().max(100).optional(),
          }),
          response: { 200: z.object({ blueprints: z.array(blueprintSummarySchema) }), ...errors },
        },
      },
      async ({ query: { q, category } }) => ({
        blueprints: await blueprintIndex.search(q.split(/\s+/).filter(Boolean), category),
      }),
    );

    app.get(
      '/blueprints/:name',
      {
        config: { scope: 'any' },
        schema: {
          summary: 'Read one Blueprint by name or name:version, merged with the Blueprint that it extends',
          params: z.object({ name: z.string().max(200) }),
          response: { 200: z.object({ blueprint: blueprintSchema }), ...errors, 404: errorBodySchema },
        },
      },
      async ({ params: { name } }) => {
        const [base = ''] = name.split(':');
        const unknown = () => new NangoError('not_found', `The catalog has no Blueprint "${name}".`);
        // The index is searched first, so that no name from outside opens a file.
        const summary = (await blueprintIndex.search([base])).find((one) => one.name === base);
        if (!summary) throw unknown();
        const read = await blueprints.file(base);
        const resolved = await blueprints.find(name);
        if (!('file' in read) || !('source' in resolved)) throw unknown();
        const { version, auth, config = {}, requests } = resolved;
        const { console_url: consoleUrl = null, versions } = read.file;
        const comment = versions[version]?.comment ?? null;
        return { blueprint: { ...summary, version, consoleUrl, comment, auth, config, requests } };
      },
    );
  };
}
