import type { ConnectionKey } from '../store/store.ts';
import type { HttpClient } from '../upstream/http-client.ts';
import { authorizeRequest, type ApiRequest, type RequestAuthorization } from './authorize-request.ts';
import type { FreshCredentials } from './fresh-credentials.ts';

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

/** Also throws what {@link FreshCredentials.get} and {@link HttpClient.send} throw. */
export function createSendRequest(
  fresh: FreshCredentials,
  client: HttpClient,
  context: RequestAuthorization['context'],
): SendRequest {
  return async (key, request) => {
    const connection = await fresh.get(key);
    const timeoutMs = connection.integration.httpRequestTimeoutSeconds * 1000;
    const authorized = authorizeRequest(request, { ...connection, context });
    const { body, ...response } = await client.send({ ...authorized, timeoutMs, maxBytes: MAX_RESPONSE_BYTES });
    const data = body.toString('utf8');
    return { ...response, data, ...parseJson(String(response.headers['content-type'] ?? ''), data) };
  };
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
