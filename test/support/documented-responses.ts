import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import addFormats from 'ajv-formats';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { z } from 'zod';

// The released document. `npm run check:generated` compares it with the routes.
const text = readFileSync(join(import.meta.dirname, '../../packages/server/openapi.json'), 'utf8');
const document = z
  .object({
    paths: z.record(
      z.string(),
      z.record(
        z.string(),
        z.object({
          responses: z.record(z.string(), z.object({ content: z.record(z.string(), z.unknown()).optional() })),
        }),
      ),
    ),
  })
  .parse(JSON.parse(text));
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);
ajv.addSchema(JSON.parse(text) as object, 'openapi.json');
const validators = new Map<string, ValidateFunction>();

/** A response of the server before it is sent. */
export interface SentResponse {
  readonly method: string;
  /** The path as it is registered, such as `/api/actions/:integration/:action`. Undefined if no route matched. */
  readonly route: string | undefined;
  readonly status: number;
  readonly contentType: string | undefined;
  readonly body: unknown;
}

/** Why a response does not match the OpenAPI document. Undefined if it matches. */
export function undocumented({ method, route, status, contentType = '', body }: SentResponse): string | undefined {
  const name = `${method} ${route ?? '(no route)'} ${status}`;
  // HEAD is GET without its body. The document does not describe preflights of browsers.
  if (route === undefined || method === 'HEAD' || method === 'OPTIONS') return undefined;
  const path = route.replaceAll(/:(\w+)/g, '{$1}').replace(/\*$/, '');
  const operation = document.paths[path]?.[method.toLowerCase()];
  if (!operation) return `${name}: the document has no such operation`;
  const response = operation.responses[String(status)];
  if (!response) return `${name}: the document has no such status`;
  if (status === 204) return undefined;
  const [type = ''] = contentType.split(';');
  if (response.content === undefined)
    return body === '' || body === null || body === undefined ? undefined : `${name}: a body is not described`;
  if (!(type in response.content)) return `${name}: the document has no ${type || 'response without content type'}`;
  if (type !== 'application/json') return undefined;
  const pointer = ['paths', path, method.toLowerCase(), 'responses', String(status), 'content', type, 'schema'];
  const validate = validatorAt(pointer);
  if (validate(JSON.parse(String(body)))) return undefined;
  return `${name}: ${ajv.errorsText(validate.errors)}`;
}

function validatorAt(pointer: readonly string[]): ValidateFunction {
  const escaped = pointer.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')));
  const $ref = `openapi.json#/${escaped.join('/')}`;
  const validate = validators.get($ref) ?? ajv.compile({ $ref });
  validators.set($ref, validate);
  return validate;
}
