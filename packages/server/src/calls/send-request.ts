import type { Integration } from '../auth-modes/auth-mode.ts';
import { codeOf } from '../errors/nango-error.ts';
import type { HttpClient, UpstreamResponse } from '../upstream/http-client.ts';
import type { RequestTarget } from '../formats/request-target.ts';
import type { ApiRequest, AuthorizedRequest } from './authorize-request.ts';
import type { ConnectionReference } from '../connections/connection-reference.ts';
import { connectionNames, type CallOrigin, type ReportCall } from './call-report.ts';
import type { ConnectionContext, OpenConnection } from '../connections/connection-context.ts';
import { connectionSockets } from './connection-sockets.ts';
import { beginCall, nextRequest, type ApiCall, type FollowUps, type RetryChoice } from './follow-ups.ts';
import type { FreshCredentials } from '../refresh/fresh-credentials.ts';
import type { RequestLimits } from './request-limits.ts';
import { responseJson } from './response-json.ts';

const MAX_RESPONSE_BYTES = 10_485_760;

/** An external API's response, whatever its status. `json` is present if the body is JSON. */
export interface ApiResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Record<string, string | string[]>;
  readonly data: string;
  readonly json?: unknown;
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
export interface SendRequestOptions {
  readonly fresh: FreshCredentials;
  readonly client: HttpClient;
  readonly context: ConnectionContext;
  readonly limits: RequestLimits;
  readonly followUps: FollowUps;
  readonly report: ReportCall;
}

/**
 * Returns an {@link Exchange}. {@link FollowUps} decides what follows a response, and each request is authorized again.
 * Throws the errors of {@link FreshCredentials.get}, {@link RequestLimits.enter} and {@link HttpClient.send}.
 */
export function createExchange(options: SendRequestOptions): Exchange {
  const { fresh, limits, report } = options;
  return async (reference, request, origin) => {
    const started = performance.now();
    const sentBytes = typeof request.body === 'string' ? Buffer.byteLength(request.body) : 0;
    let call: ApiCall | undefined;
    const reportOutcome = (outcome: { status?: number; error?: string; receivedBytes: number }) =>
      report({
        ...connectionNames(reference, call?.connection),
        via: origin.via,
        caller: origin.caller,
        requestId: origin.requestId,
        method: request.method,
        status: outcome.status,
        error: outcome.error,
        ms: Math.round(performance.now() - started),
        firstByteMs: undefined,
        sentBytes,
        receivedBytes: outcome.receivedBytes,
        retries: call?.retries ?? 0,
        refreshes: call?.refreshes ?? 0,
        redirects: call?.redirects ?? 0,
      });
    try {
      const connection = await fresh.get(reference);
      const { method, retry = { anyMethod: false } } = request;
      const begun = (call = beginCall({ connection, method, retry, isReplayable: true }));
      const { response, target } = await limits.run(connection, () => exchange(begun, request, options));
      reportOutcome({ status: response.status, receivedBytes: response.receivedBytes });
      return { response: toApiResponse(response), target, connection: begun.connection };
    } catch (error) {
      reportOutcome({ error: codeOf(error), receivedBytes: 0 });
      throw error;
    }
  };
}

/** Wraps {@link createExchange} for callers that need only the response. */
export function createSendRequest(exchange: Exchange): SendRequest {
  return async (...request) => (await exchange(...request)).response;
}

async function exchange(
  call: ApiCall,
  request: ApiRequest,
  options: SendRequestOptions,
): Promise<{ readonly response: UpstreamResponse; readonly target: RequestTarget }> {
  for (;;) {
    const headers = { ...defaultHeaders(call.connection.integration), ...request.headers };
    const authorized = nextRequest(call, { ...request, headers }, options.context);
    const response = await sendOnce(authorized, call.connection, options.client);
    const again = options.followUps.sendsAgain(call, { ...response, request: authorized });
    if (again === false || !(await again)) return { response, target: authorized.target };
  }
}

/** Returns defaults of headers that the Integration does not set. Some APIs send JSON only on request. */
function defaultHeaders({ requests }: Integration): Record<string, string> {
  const isConfigured = [...requests.headers.keys()].some((name) => name.toLowerCase() === 'accept');
  return isConfigured ? {} : { accept: 'application/json' };
}

function sendOnce(
  { method, target, headers, body }: AuthorizedRequest,
  connection: OpenConnection,
  client: HttpClient,
): Promise<UpstreamResponse> {
  return client.send({
    ...connectionSockets(connection),
    method,
    target,
    headers,
    body,
    timeoutMs: connection.integration.httpRequestTimeoutSeconds * 1000,
    maxBytes: MAX_RESPONSE_BYTES,
  });
}

function toApiResponse({ status, statusText, headers, body }: UpstreamResponse): ApiResponse {
  const response = { status, statusText, headers };
  const data = body.toString('utf8');
  const json = responseJson(String(response.headers['content-type'] ?? ''), data);
  return { ...response, data, ...(json === undefined ? {} : { json }) };
}
