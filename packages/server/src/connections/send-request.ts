import type { ConnectionKey } from '../store/store.ts';
import type { HttpClient, UpstreamResponse } from '../upstream/http-client.ts';
import { parseRetryAfter } from '../upstream/retry-after.ts';
import { authorizeRequest, type ApiRequest } from './authorize-request.ts';
import type { ConnectionContext } from './connection-context.ts';
import type { FreshCredentials } from './fresh-credentials.ts';

const MAX_RESPONSE_BYTES = 10_485_760;
const MAX_RETRIES = 3;
const MAX_WAIT_MS = 30_000;
const FIRST_WAIT_MS = 1_000;
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** An external API's answer, whatever its status. `json` is there when the body is JSON. */
export interface ApiResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Record<string, string | string[]>;
  readonly data: string;
  readonly json?: unknown;
}

/** Sends a request to a connection's API with fresh credentials. Resolves for every HTTP status. */
export type SendRequest = (key: ConnectionKey, request: ApiRequest) => Promise<ApiResponse>;

export interface SendRequestOptions {
  readonly fresh: FreshCredentials;
  readonly client: HttpClient;
  readonly context: ConnectionContext;
}

/**
 * An API that is out of quota is asked again after the time it names, at most three times; each time is authorized anew.
 * Also throws what {@link FreshCredentials.get} and {@link HttpClient.send} throw.
 */
export function createSendRequest(options: SendRequestOptions): SendRequest {
  return async (key, request) => {
    const started = performance.now();
    for (let retries = 0; ; retries += 1) {
      const response = await sendOnce(key, request, options);
      const wait =
        retries < MAX_RETRIES ? waitBeforeRetry(request, { response, retries, now: options.context.now() }) : undefined;
      if (wait === undefined) {
        const fields = { integration: key.integration, method: request.method, status: response.status, retries };
        options.context.log.debug({ ...fields, ms: Math.round(performance.now() - started) }, 'request sent');
        return toApiResponse(response);
      }
      await options.context.delay(wait);
    }
  };
}

async function sendOnce(
  key: ConnectionKey,
  request: ApiRequest,
  { fresh, client, context }: SendRequestOptions,
): Promise<UpstreamResponse> {
  const connection = await fresh.get(key);
  const timeoutMs = connection.integration.httpRequestTimeoutSeconds * 1000;
  return client.send({
    ...authorizeRequest(request, { ...connection, context }),
    clientCertificate: connection.integration.clientCertificate?.reveal(),
    timeoutMs,
    maxBytes: MAX_RESPONSE_BYTES,
  });
}

interface Attempt {
  readonly response: UpstreamResponse;
  readonly retries: number;
  readonly now: number;
}

/**
 * Milliseconds to wait, or undefined for an answer that is final. 429 says that nothing was done, so any method may be sent
 * again; 503 does not, so only idempotent ones are, and only when the API names a time (RFC 6585 §4, RFC 9110 §15.6.4).
 */
function waitBeforeRetry(
  { method }: ApiRequest,
  { response: { status, headers }, retries, now }: Attempt,
): number | undefined {
  const named = parseRetryAfter(String(headers['retry-after'] ?? ''), now);
  const limited = status === 429 || (status === 503 && named !== undefined && IDEMPOTENT.has(method));
  const wait = named ?? FIRST_WAIT_MS * 2 ** retries;
  // A longer wait is the caller's decision.
  return limited && wait <= MAX_WAIT_MS ? wait : undefined;
}

function toApiResponse({ body, ...response }: UpstreamResponse): ApiResponse {
  const data = body.toString('utf8');
  return { ...response, data, ...parseJson(String(response.headers['content-type'] ?? ''), data) };
}

function parseJson(contentType: string, text: string): { json?: unknown } {
  if (!/^application\/([\w.+-]+\+)?json\b/i.test(contentType)) return {};
  try {
    return { json: JSON.parse(text) };
  } catch {
    // The API says JSON and sends something else; `data` has it as it came.
    return {};
  }
}
