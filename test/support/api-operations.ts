import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const bodySchema = z.object({ properties: z.record(z.string(), z.unknown()).default({}) });
const operationSchema = z.object({
  security: z.array(z.record(z.string(), z.array(z.string()))).default([]),
  parameters: z.array(z.object({ name: z.string(), in: z.enum(['query', 'path', 'header']) })).default([]),
  requestBody: z.object({ content: z.record(z.string(), z.object({ schema: bodySchema.optional() })) }).optional(),
});
const documentSchema = z.object({ paths: z.record(z.string(), z.record(z.string(), operationSchema)) });
const text = readFileSync(join(import.meta.dirname, '../../packages/server/openapi.json'), 'utf8');
const { paths } = documentSchema.parse(JSON.parse(text));

/** An operation of the OpenAPI document. */
export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly { name: string; in: string }[];
  /** Whether it requires a secret key. */
  readonly isKeyed: boolean;
  /** The members that its body may have. Undefined if it has no body. */
  readonly members: readonly string[] | undefined;
}

/** All operations except the proxy’s, so that tests of every route cover a new route without a change. */
export const OPERATIONS: readonly Operation[] = Object.entries(paths)
  .filter(([path]) => path !== '/proxy/{endpoint}')
  .flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { security, parameters, requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      isKeyed: security.some((scheme) => 'secretKey' in scheme),
      members:
        requestBody || method === 'post'
          ? Object.values(requestBody?.content ?? {}).flatMap(({ schema }) => Object.keys(schema?.properties ?? {}))
          : undefined,
    })),
  );
