import type { ConnectionKey } from '../store/store.ts';
import type { HttpClient, UpstreamResponse } from '../upstream/http-client.ts';
import { authorizeRequest, type ApiRequest } from './authorize-request.ts';
import type { ConnectionContext, OpenConnection } from './connection-context.ts';
import type { FreshCredentials } from './fresh-credentials.ts';
import { waitBeforeRetry } from './retry-policy.ts';

const MAX_RESPONSE_BYTES = 10_485_760;

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
 * A token that the API refuses is renewed, once; an API that is out of quota is asked again after the time it names. Each
 * time the request is authorized anew. Also throws what {@link FreshCredentials.get} and {@link HttpClient.send} throw.
 */
export function createSendRequest(options: SendRequestOptions): SendRequest {
  const { fresh, context } = options;
  return async (key, request) => {
    const started = performance.now();
    let connection = await fresh.get(key);
    for (let retries = 0, renewals = 0; ;) {
      const response = await sendOnce(connection, request, options);
      const renewed = response.status === 401 && renewals === 0 ? await fresh.afterRejection(connection) : undefined;
      if (renewed) {
        connection = renewed;
        renewals += 1;
        continue;
      }
      const wait = waitBeforeRetry({ method: request.method, ...response, retries }, context.now());
      if (wait === undefined) {
        const fields = {
          integration: key.integration,
          method: request.method,
          status: response.status,
          retries,
          renewals,
        };
        context.log.debug({ ...fields, ms: Math.round(performance.now() - started) }, 'request sent');
        return toApiResponse(response);
      }
      await context.delay(wait);
      retries += 1;
      connection = await fresh.get(key);
    }
  };
}

function sendOnce(
  connection: OpenConnection,
  request: ApiRequest,
  { client, context }: SendRequestOptions,
): Promise<UpstreamResponse> {
  const { method, url, headers, body } = authorizeRequest(request, { ...connection, context });
  return client.send({
    method,
    url,
    headers,
    body,
    guarded: connection.integration.isGuarded,
    clientCertificate: connection.integration.clientCertificate?.reveal(),
    timeoutMs: connection.integration.httpRequestTimeoutSeconds * 1000,
    maxBytes: MAX_RESPONSE_BYTES,
  });
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
