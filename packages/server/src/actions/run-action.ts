import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { ActionHost, ActionHttpRequest, ActionLogger, ActionPageRequest } from '@nangohq/action';
import type { JsonValue } from '../auth-modes/auth-mode.ts';
import { integrationNamed, type ConnectionContext } from '../connections/connection-context.ts';
import { withCredentials } from '../connections/public-connection.ts';
import type { FreshCredentials } from '../refresh/fresh-credentials.ts';
import type { CallOrigin } from '../calls/call-report.ts';
import type { ApiRequest } from '../calls/authorize-request.ts';
import { splitEndpoint } from '../calls/join-endpoint.ts';
import type { ReadPage } from '../calls/read-page.ts';
import type { SendRequest } from '../calls/send-request.ts';
import { apiRequestSchema, pageRequestSchema } from '../calls/api-request-schema.ts';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import type { ConnectionKey } from '../store/store.ts';
import type { ActionCatalog } from './action-catalog.ts';

/** One run of an Action. */
export interface ActionRun extends ConnectionKey {
  readonly action: string;
  readonly input: JsonValue;
  readonly requestId?: string | undefined;
}

/** Creates the logger of one run, at the Integration's level. */
export type CreateActionLogger = (fields: Record<string, string>, level: string) => ActionLogger;

/** The functions and objects that runs of Actions use. */
export interface ActionRunnerOptions {
  readonly context: ConnectionContext;
  readonly catalog: ActionCatalog;
  readonly fresh: FreshCredentials;
  readonly sendRequest: SendRequest;
  readonly readPage: ReadPage;
  readonly createLogger: CreateActionLogger;
}

/** Runs Actions. The result is JSON; undefined becomes null. */
export type RunAction = (run: ActionRun) => Promise<JsonValue>;

/**
 * Creates {@link RunAction}. An Action's error becomes `action_failed` with its message. Our errors keep their codes.
 */
export function createRunAction(options: ActionRunnerOptions): RunAction {
  return async (run) => {
    const { integration, action, requestId } = run;
    const { logLevel } = integrationNamed(integration, options.context);
    const { create, mapStack } = await options.catalog.load(integration, action);
    const { connection } = withCredentials(await options.fresh.get(run));
    const execution = randomBytes(4).toString('hex');
    const fields = { integration, action, userId: connection.userId, execution, ...(requestId && { requestId }) };
    const logger = options.createLogger(fields, logLevel);
    try {
      return toJson(await create(createHost(run, logger, options)).executeAction(run.input), run);
    } catch (error) {
      // Reflect.set leaves a frozen error unchanged instead of throwing.
      if (error instanceof Error && typeof error.stack === 'string') Reflect.set(error, 'stack', mapStack(error.stack));
      logger.error('Action failed', { err: error });
      const { code, retryAfter } = error instanceof NangoError ? error : { code: 'action_failed' as const };
      throw new NangoError(code, messageOf(error), { cause: error, retryAfter, isLogged: true });
    }
  };
}

function createHost(
  { integration, userId, requestId }: ActionRun,
  logger: ActionLogger,
  { fresh, sendRequest, readPage }: ActionRunnerOptions,
): ActionHost {
  const key = { integration, userId };
  const origin: CallOrigin = { via: 'action', requestId };
  return {
    logger,
    async httpRequest(input) {
      const request = { ...parseRequest(apiRequestSchema, input), retry: RETRY_ANY_METHOD };
      const response = await sendAndLog(logger, request, () => sendRequest(key, request, origin));
      return response.json === undefined ? response : { ...response, json: withPlainNumbers(response.json) };
    },
    async readPage(input) {
      const request = { ...parseRequest(pageRequestSchema, input), retry: RETRY_ANY_METHOD };
      const { items, next } = await sendAndLog(logger, request, () => readPage(key, request, origin));
      return { items: items.map(withPlainNumbers), next };
    },
    async getCurrentConnection() {
      const { connection, credentials } = withCredentials(await fresh.get(key));
      return {
        ...connection,
        credentials: {
          ...credentials,
          raw: z.record(z.string(), z.json()).parse(withPlainNumbers(credentials['raw'])),
        },
      };
    },
  };
}

/** Turns exact numbers into the nearest JavaScript numbers, because Actions calculate with them. */
function withPlainNumbers(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

// An API whose quota is used up has not processed the request, so any method may be retried.
const RETRY_ANY_METHOD = { anyMethod: true };

function parseRequest<T extends z.ZodType>(schema: T, input: ActionHttpRequest | ActionPageRequest): z.output<T> {
  const parsed = schema.safeParse({
    ...input,
    body: input.body === undefined ? undefined : JSON.parse(JSON.stringify(input.body)),
  });
  if (parsed.success) return parsed.data;
  throw new NangoError('invalid_request', `httpRequest: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`);
}

/** Logs a request without its query, which may hold private data. */
async function sendAndLog<T extends object>(
  logger: ActionLogger,
  { method, endpoint }: ApiRequest,
  send: () => Promise<T>,
): Promise<T> {
  const started = performance.now();
  const response = await send();
  logger.info('httpRequest', {
    method,
    endpoint: splitEndpoint(endpoint).path,
    status: 'status' in response ? response.status : 200,
    ms: Math.round(performance.now() - started),
  });
  return response;
}

function toJson(result: unknown, { integration, action }: ActionRun): JsonValue {
  try {
    return z.json().parse(JSON.parse(JSON.stringify(result ?? null)));
  } catch (cause) {
    throw new NangoError(
      'action_invalid',
      `${integration}/${action} returned a value that cannot be JSON: ${messageOf(cause)}`,
      { cause },
    );
  }
}
