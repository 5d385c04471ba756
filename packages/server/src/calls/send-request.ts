import type { Integration } from '../auth-modes/auth-mode.ts';
import { codeOf } from '../errors/nango-error.ts';
import type { HttpClient, UpstreamResponse } from '../upstream/http-client.ts';
import type { RequestTarget } from '../formats/request-target.ts';
import { beginCall, reportOf, type RetryChoice } from './api-call.ts';
import type { ApiRequest } from './authorize-request.ts';
import type { ConnectionReference } from '../connections/connection-reference.ts';
import type { CallOrigin, ReportCall } from './call-report.ts';
import type { OpenConnection } from '../connections/connection-context.ts';
import { connectionSockets } from './connection-sockets.ts';
import { responseJson } from './response-json.ts';
import { sendCall, type Calling, type Transport } from './send-call.ts';

const MAX_RESPONSE_BYTES = 10_485_760;

/** An external API's response, whatever its status. `json` is present if the body is JSON. */
export interface ApiResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Record<string, string | string[]>;
  readonly data: string;
  readonly json?: unknown;
  /** The scopes for the lack of which the API probably refused the request (403). */
  readonly missingScopes?: string[];
}

/** A request, and the caller's choices about its retries. */
export interface RetryableRequest extends ApiRequest {
  readonly retry?: RetryChoice | undefined;
}

/** Sends a request to a connection's API with fresh credentials. Resolves for every HTTP status. */
export type SendRequest = (
  reference: ConnectionReference,
  request: RetryableRequest,
  origin: CallOrigin,
) => Promise<ApiResponse>;

/**
 * Sends a request like {@link SendRequest}. Also returns the connection and the request's target. The target may hold
 * credentials and must not leave the server.
 */
export type Exchange = (
  reference: ConnectionReference,
  request: RetryableRequest,
  origin: CallOrigin,
) => Promise<{ readonly response: ApiResponse; readonly target: RequestTarget; readonly connection: OpenConnection }>;

/** The parts that {@link createExchange} needs. */
export interface SendRequestOptions extends Calling {
  readonly client: HttpClient;
  readonly report: ReportCall;
}

/**
 * Returns an {@link Exchange}. {@link FollowUps} decides what follows a response, and each request is authorized again.
 * Throws the errors of {@link FreshCredentials.get}, {@link RequestLimits.enter} and {@link HttpClient.send}.
 */
export function createExchange(options: SendRequestOptions): Exchange {
  const { client, report } = options;
  return async (reference, request, origin) => {
    const call = beginCall({ ...origin, ...request, reference });
    call.sentBytes = typeof request.body === 'string' ? Buffer.byteLength(request.body) : 0;
    try {
      const { response, target, connection } = await sendCall(call, bufferedTransport(client), options);
      report(reportOf(call, { status: response.status, receivedBytes: response.receivedBytes }));
      const { lackedScopes: missingScopes } = call;
      const hint = missingScopes === undefined ? {} : { missingScopes };
      return { response: { ...toApiResponse(response), ...hint }, target, connection };
    } catch (error) {
      report(reportOf(call, { error: codeOf(error) }));
      throw error;
    }
  };
}

/** Wraps {@link createExchange} for callers that need only the response. */
export function createSendRequest(exchange: Exchange): SendRequest {
  return async (...request) => (await exchange(...request)).response;
}

interface Received {
  readonly response: UpstreamResponse;
  readonly target: RequestTarget;
  readonly connection: OpenConnection;
}

/** Returns a transport that reads each response as a whole. */
function bufferedTransport(client: HttpClient): Transport<Received> {
  return {
    prepare: (call) => {
      call.headers = { ...defaultHeaders(call.connection.integration), ...call.headers };
    },
    send: async (request, { connection }, isReplaced) => {
      const response = await client.send({
        ...connectionSockets(connection),
        ...request,
        timeoutMs: connection.integration.httpRequestTimeoutSeconds * 1000,
        maxBytes: MAX_RESPONSE_BYTES,
      });
      const again = isReplaced(response.status, response.headers);
      return again !== false && (await again) ? 'replaced' : { response, target: request.target, connection };
    },
  };
}

/** Returns defaults of headers that the Integration does not set. Some APIs send JSON only on request. */
function defaultHeaders({ requests }: Integration): Record<string, string> {
  const isConfigured = [...requests.headers.keys()].some((name) => name.toLowerCase() === 'accept');
  return isConfigured ? {} : { accept: 'application/json' };
}

function toApiResponse({ status, statusText, headers, body }: UpstreamResponse): ApiResponse {
  const response = { status, statusText, headers };
  const data = body.toString('utf8');
  const json = responseJson(String(response.headers['content-type'] ?? ''), data);
  return { ...response, data, ...(json === undefined ? {} : { json }) };
}
