import { ERRORS } from '../errors/registry.ts';

/** The parts of an OpenAPI 3.1 document that are completed here. */
export interface OpenApiDocument {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown>; [name: string]: unknown };
  [name: string]: unknown;
}

interface Operation {
  summary?: string;
  description?: string;
  operationId?: string;
  security?: Record<string, string[]>[];
  parameters?: object[];
  requestBody?: object;
  responses: Record<string, object>;
}

const ERROR = { $ref: '#/components/schemas/Error' };
const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'options', 'head'] as const;
const ABOUT: Readonly<Record<string, string>> = {
  400: 'The request is not valid',
  401: 'The secret key or token is missing, wrong or expired',
  403: 'The secret key or token does not permit this request',
  404: 'The route or the named resource does not exist',
  409: 'The request conflicts with the current state of the connection',
  410: 'The link was used, has expired or is unknown',
  413: 'The body is too large',
  414: 'A part of the path is too long',
  415: 'The body’s content type is not supported',
  429: 'There are too many requests. Retry-After says when to try again',
  500: 'The server has a defect. Its log has the details',
  502: 'The API or the provider sent no usable response',
  503: 'The server cannot handle the request now. Retry-After says when to try again',
  504: 'The API or the provider did not respond in time',
};

const NANGO_ERROR_HEADER = 'Only errors of this server have the header nango-error. Errors of the API do not.';

/**
 * Completes the routes' schemas. Adds errors that any route may return, security, pages, and the proxy, which is not a
 * route.
 */
export function completeDocument(document: OpenApiDocument): OpenApiDocument {
  document.components.schemas['Error'] = errorSchema();
  for (const [path, operations] of Object.entries(document.paths))
    for (const [method, operation] of Object.entries(operations)) completeOperation(operation, { path, method });
  document.paths['/proxy/{endpoint}'] = proxyOperations();
  return document;
}

function completeOperation(operation: Operation, { path, method }: { path: string; method: string }): void {
  const isPage = path === '/' || path === '/oauth/callback' || /^\/oauth\/(connect|link)\//.test(path);
  operation.operationId = idOf(method, path);
  operation.security = securityOf(path);
  operation.responses = isPage && method === 'get' ? pageResponses() : { ...operation.responses };
  const { responses } = operation;
  if (path === '/oauth/callback' && method === 'post') Object.assign(responses, { ...pageResponses(), 200: undefined });
  if (path === '/metrics')
    responses['200'] = { description: 'Metrics', content: { 'text/plain': { schema: { type: 'string' } } } };
  // Adds the error statuses that a route's schemas leave to the error mapper.
  const common = [400, 414, 500, 503];
  // Every caller can cause errors of a connection, a provider or an API.
  const keyed = operation.security.length > 0 ? [401, 403, 409, 429, 502, 504] : [];
  // A DELETE needs no body, but a body is parsed.
  const withBody = ['post', 'put', 'delete'].includes(method) ? [413, 415] : [];
  for (const status of [...common, ...keyed, ...withBody, ...errorStatuses(responses)])
    addError(responses, String(status));
  for (const [status, response] of Object.entries(responses)) if (response === undefined) delete responses[status];
}

function errorStatuses(responses: Operation['responses']): number[] {
  return Object.keys(responses)
    .map(Number)
    .filter((status) => status >= 400);
}

/** Adds an error as JSON. A page stays beside it. */
function addError(responses: Operation['responses'], status: string): void {
  const described = responses[status];
  const content = described && 'content' in described && typeof described.content === 'object' ? described.content : {};
  responses[status] = {
    description: ABOUT[status] ?? 'An error',
    content: { ...content, 'application/json': { schema: ERROR } },
  };
}

function pageResponses(): Operation['responses'] {
  const page = (description: string) => ({ description, content: { 'text/html': { schema: { type: 'string' } } } });
  return {
    200: page('A page for the user'),
    303: {
      description: 'A redirect to the provider, or to the page that receives the result',
      headers: { location: { schema: { type: 'string' } } },
    },
    ...Object.fromEntries(
      [400, 401, 403, 404, 409, 410, 500, 502, 503, 504].map((status) => [status, page(ABOUT[status] ?? '')]),
    ),
  };
}

function securityOf(path: string): Record<string, string[]>[] {
  if (path.startsWith('/api') || path === '/metrics') return [{ secretKey: [] }];
  return path === '/oauth/attempts' ? [{ connectSession: [] }, {}] : [];
}

function proxyOperations(): Record<string, Operation> {
  const header = (name: string, description: string, required = false) => ({
    name,
    in: 'header',
    required,
    description,
    schema: { type: 'string' },
  });
  const parameters = [
    {
      name: 'endpoint',
      in: 'path',
      required: true,
      description: 'The endpoint, relative to base_url. It may contain slashes and a query',
      schema: { type: 'string' },
    },
    header('Nango-Integration', 'The name of the Integration in integrations.yaml', true),
    header('Nango-User-Id', 'The application’s own id of the user, percent-encoded', true),
    header('Nango-Retries', 'Maximum number of retries if the API’s quota is used up, 0 to 10'),
    header('Nango-Retry-Any-Method', 'true: requests with methods that are not idempotent are retried, too'),
  ];
  const operation = (method: (typeof METHODS)[number]): Operation => {
    const responses: Operation['responses'] = {
      default: {
        description: 'The API’s own response with any status, byte for byte. It has no header nango-error.',
        headers: { 'nango-request-id': { schema: { type: 'string' } } },
        content: { '*/*': {} },
      },
    };
    for (const status of [400, 401, 403, 404, 409, 429, 500, 502, 503, 504]) {
      addError(responses, String(status));
      Object.assign(responses[status] ?? {}, {
        description: `${ABOUT[status] ?? ''}. ${NANGO_ERROR_HEADER}`,
        content: { 'application/json': { schema: ERROR }, '*/*': {} },
      });
    }
    return {
      summary: `Send a request with the method ${method.toUpperCase()} to a connection’s API`,
      operationId: idOf(method, '/proxy'),
      security: [{ secretKey: [] }],
      parameters,
      ...(['post', 'put', 'patch', 'delete'].includes(method) ? { requestBody: { content: { '*/*': {} } } } : {}),
      responses,
    };
  };
  return Object.fromEntries(METHODS.map((method) => [method, operation(method)]));
}

function errorSchema(): object {
  return {
    type: 'object',
    required: ['error'],
    properties: {
      error: {
        type: 'object',
        required: ['type', 'message', 'requestId'],
        properties: {
          type: { type: 'string', enum: Object.keys(ERRORS), description: 'The stable code of the error' },
          message: { type: 'string', description: 'What happened and what to do' },
          requestId: { type: 'string', description: 'The id of the request in the server’s log' },
        },
      },
    },
  };
}

/** Returns an operation id, such as `getApiConnections`. */
function idOf(method: string, path: string): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter(Boolean);
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}
