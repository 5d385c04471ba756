import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import swagger from '@fastify/swagger';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import prettier from 'prettier';
import { z } from 'zod';
import { RESERVED_PLACEHOLDERS } from '../packages/server/src/auth-modes/registry.ts';
import { BlueprintCatalog } from '../packages/server/src/catalog/blueprint-catalog.ts';
import { blueprintFileSchema } from '../packages/server/src/catalog/blueprint-file.ts';
import { buildIndex } from '../packages/server/src/catalog/blueprint-index.ts';
import { integrationsFileSchema } from '../packages/server/src/config/integrations-file.ts';
import { nangoConfigSchema } from '../packages/server/src/config/nango-config.ts';
import { ERRORS } from '../packages/server/src/errors/registry.ts';
import { createLog } from '../packages/server/src/observability/log.ts';
import { CATALOG_FOLDER, VERSION } from '../packages/server/src/package-files.ts';
import { Fields } from '../packages/server/src/schema/fields.ts';
import { completeDocument } from '../packages/server/src/http/openapi.ts';
import { startServer } from '../packages/server/src/start.ts';
import { writtenNumber } from '../packages/server/src/schema/written-number.ts';
import { Secret } from '../packages/server/src/vault/secret.ts';
import { layerList, layerRules } from './layers.ts';
import type { App } from '../packages/server/src/http/server-context.ts';

const ARCHITECTURE = join(import.meta.dirname, '../ARCHITECTURE.md');

/** A generated file: its path from the package's folder, and its text. */
export interface GeneratedFile {
  readonly path: string;
  readonly text: string;
}

/** All generated files: JSON Schemas for editors, the OpenAPI document, tables of the documentation, lint rules. */
export async function generateFiles(): Promise<GeneratedFile[]> {
  const fields = new Fields(() => undefined, RESERVED_PLACEHOLDERS);
  const catalog = new BlueprintCatalog([CATALOG_FOLDER]);
  return [
    { path: 'schemas/nango-config.schema.json', text: jsonSchema(nangoConfigSchema(fields), 'nango-config.yaml') },
    { path: 'schemas/integrations.schema.json', text: jsonSchema(integrationsFileSchema(fields), 'integrations.yaml') },
    { path: 'schemas/blueprint.schema.json', text: jsonSchema(blueprintSchema(fields), 'a Blueprint') },
    { path: 'openapi.json', text: await openApi() },
    { path: 'blueprints/index.json', text: format(await buildIndex(CATALOG_FOLDER, catalog)) },
    { path: '../../docs/reference/errors.md', text: errorsPage() },
    { path: '../node-client/src/error-codes.ts', text: errorCodes() },
    { path: '../../.oxlintrc.layers.json', text: format(layerRules()) },
    { path: '../../ARCHITECTURE.md', text: await architecture() },
  ];
}

/** An editor checks `auth` and `requests` of a Blueprint like those of an Integration. */
function blueprintSchema(fields: Fields): z.ZodType {
  const integration = integrationsFileSchema(fields).shape.integrations.valueType.shape;
  const { versions } = blueprintFileSchema.shape;
  const version = z.strictObject({
    ...versions.valueType.shape,
    auth: integration.auth,
    config: integration.config,
    requests: integration.requests,
  });
  return blueprintFileSchema.extend({ versions: z.record(versions.keyType, version) });
}

function jsonSchema(schema: z.ZodType, title: string): string {
  const options = { io: 'input', target: 'draft-7', unrepresentable: 'any' } as const;
  return format({ title, ...z.toJSONSchema(schema, { ...options, override: withoutWrittenNumbers }) });
}

/** An editor reads a number from YAML, so it needs no schema for the number's text. */
function withoutWrittenNumbers({
  zodSchema,
  jsonSchema,
}: {
  zodSchema: z.core.$ZodTypes;
  jsonSchema: z.core.JSONSchema.BaseSchema;
}): void {
  if (zodSchema._zod.def.type !== 'union' || jsonSchema.anyOf === undefined) return;
  const { options } = zodSchema._zod.def;
  jsonSchema.anyOf = jsonSchema.anyOf.filter((_, index) => options[index] !== writtenNumber);
}

const documentSchema = z.looseObject({
  paths: z.record(
    z.string(),
    z.record(z.string(), z.looseObject({ responses: z.record(z.string(), z.looseObject({})) })),
  ),
  components: z.looseObject({ schemas: z.record(z.string(), z.unknown()).default({}) }),
});

async function openApi(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nango-generate-'));
  await writeFile(join(folder, 'integrations.yaml'), 'integrations: {}\n');
  const silent = createLog('silent', new Writable({ write: (_chunk, _encoding, done) => done() }));
  let document: unknown;
  const settings = {
    folder,
    dataDirectory: join(folder, 'data'),
    databaseUrl: undefined,
    encryptionKey: undefined,
    encryptionKeyFile: undefined,
    encryptionKeyCommand: undefined,
    secretKey: new Secret('generate'),
    host: '127.0.0.1',
    port: 0,
    environment: () => undefined,
    tracing: undefined,
  };
  const server = await startServer({
    settings,
    log: silent,
    beforeRoutes: async (app: App) => {
      await app.register(swagger, {
        openapi: {
          openapi: '3.1.0',
          info: {
            title: 'Nango',
            version: VERSION,
            description: 'Connect users to external APIs, and call these APIs on behalf of the users.',
            license: { name: 'MIT', identifier: 'MIT' },
          },
          servers: [{ url: 'http://localhost:3003' }],
          components: {
            securitySchemes: {
              secretKey: { type: 'http', scheme: 'bearer', description: 'A secret key of the server' },
              connectSession: { type: 'http', scheme: 'bearer', description: 'A connect session token' },
            },
          },
        },
        transform: jsonSchemaTransform,
        transformObject: jsonSchemaTransformObject,
      });
      app.addHook('onReady', async () => {
        document = completeDocument(documentSchema.parse(app.swagger()));
      });
    },
  });
  await server.close();
  await rm(folder, { recursive: true });
  return format(document);
}

/** ARCHITECTURE.md with the list of the server's folders between its two comments. */
async function architecture(): Promise<string> {
  const text = await readFile(ARCHITECTURE, 'utf8');
  const options = { ...(await prettier.resolveConfig(ARCHITECTURE)), parser: 'markdown' } as const;
  const list = await prettier.format(layerList(), { ...options, proseWrap: 'always' });
  return text.replace(/(<!-- layers -->).*?(<!-- \/layers -->)/s, `$1\n\n${list}\n$2`);
}

function errorCodes(): string {
  const codes = Object.keys(ERRORS).map((code) => `\n  | '${code}'`);
  return `/** The stable codes of the server's errors, as docs/reference/errors.md describes them. */
export type NangoErrorCode =${codes.join('')};
`;
}

function errorsPage(): string {
  const rows = Object.entries(ERRORS).map(([code, { status, about }]) => `| \`${code}\` | ${status} | ${about} |`);
  return `# Errors

Every error of the server has a stable code. The HTTP API responds with the status in the table and with this body:

\`\`\`json
{ "error": { "type": "connection_not_found", "message": "…", "requestId": "…" } }
\`\`\`

\`invalid_request\` may have another status of 4xx, if HTTP has a more exact one: 408 for a request that arrives too
slowly, 413 for a body that is too large, 415 for an unknown content type, 417 for an \`Expect\` header, and 431 for
headers that are too large.

The node SDK rejects with an Error. Its \`type\` is the code and its \`errorMsg\` is the message. The SDK has three
more codes:

- \`invalid_input\`: the input is not valid, and the SDK sent no request.
- \`network_error\`: the SDK received no response from the server, or one that is not a response of Nango.
- \`invalid_signature\`: the signature of a webhook is not valid.

The frontend SDK adds \`popup_blocked\`, \`window_closed\`, \`timeout\` and \`network_error\`.

| code | status | meaning |
| --- | --- | --- |
${rows.join('\n')}
`;
}

function format(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
