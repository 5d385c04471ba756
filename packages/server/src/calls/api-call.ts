import type { OpenConnection } from '../connections/connection-context.ts';
import type { ConnectionReference } from '../connections/connection-reference.ts';
import type { RequestTarget } from '../formats/request-target.ts';
import { DEFAULT_ACCOUNT } from '../store/store.ts';
import type { ApiRequest } from './authorize-request.ts';
import { connectionNames, type CallOrigin, type CallReport } from './call-report.ts';
import type { Redirect } from './redirects.ts';

/** The caller's choices about retries. */
export interface RetryChoice {
  /** Maximum number of retries; default 3. */
  readonly maxRetries?: number | undefined;
  /** Whether methods that are not idempotent are retried too, if the API was out of quota. */
  readonly anyMethod: boolean;
}

/** A call to a connection's API, from its arrival to its report: the caller's request, and the state of the call. */
export interface ApiCall extends CallOrigin, ApiRequest<string> {
  /** The time at which the call arrived, in `performance.now()` time. */
  readonly started: number;
  caller: string | undefined;
  reference: ConnectionReference;
  retry: RetryChoice;
  endpoint: string;
  headers: ApiRequest['headers'];
  body: ApiRequest['body'];
  /** Undefined until it is found. */
  connection: OpenConnection | undefined;
  /** The request that follows the last redirect; undefined = the caller's own request. */
  redirect: Redirect | undefined;
  /** Where the last request was sent. */
  sentTo: RequestTarget | undefined;
  /** Whether the request can be sent again: it has no body, or the whole body is in memory. */
  isReplayable: boolean;
  /** The scopes for the lack of which the API probably refused the last request. */
  lackedScopes: string[] | undefined;
  sentBytes: number;
  retries: number;
  refreshes: number;
  redirects: number;
}

/** A call whose connection was found. */
export interface OpenCall extends ApiCall {
  connection: OpenConnection;
}

/** The values that are known when a call arrives. The others can be set until it is sent. */
type Begun = CallOrigin &
  Pick<ApiCall, 'method'> &
  Partial<Pick<ApiCall, 'reference' | 'endpoint' | 'params' | 'headers' | 'body'>> & {
    readonly retry?: RetryChoice | undefined;
  };

const NO_REFERENCE: ConnectionReference = { integration: '', userId: '', account: DEFAULT_ACCOUNT };
const NO_CHOICE: RetryChoice = { anyMethod: false };

/** Returns a call that has sent nothing yet. */
export function beginCall(begun: Begun): ApiCall {
  const { via, caller, requestId, method, reference = NO_REFERENCE, retry = NO_CHOICE } = begun;
  const { endpoint = '', params, headers, body } = begun;
  const received = { via, caller, requestId, method, reference, retry, endpoint, params, headers, body };
  const unsent = { connection: undefined, redirect: undefined, sentTo: undefined, lackedScopes: undefined };
  const counts = { sentBytes: 0, retries: 0, refreshes: 0, redirects: 0 };
  return { ...received, ...unsent, ...counts, isReplayable: true, started: performance.now() };
}

/** The result of a call that ended. */
export interface CallOutcome {
  readonly status?: number;
  readonly error?: string;
  /** Default 0. */
  readonly receivedBytes?: number;
  /** The time at which the API's response began, in `performance.now()` time. */
  readonly respondedAt?: number;
}

/** Returns the report of a call that ended. */
export function reportOf(call: ApiCall, outcome: CallOutcome): CallReport {
  const { status, error, receivedBytes = 0, respondedAt } = outcome;
  return {
    ...connectionNames(call.reference, call.connection),
    via: call.via,
    caller: call.caller,
    requestId: call.requestId,
    method: call.method,
    status,
    error,
    ms: Math.round(performance.now() - call.started),
    firstByteMs: respondedAt === undefined ? undefined : Math.round(respondedAt - call.started),
    sentBytes: call.sentBytes,
    receivedBytes,
    retries: call.retries,
    refreshes: call.refreshes,
    redirects: call.redirects,
  };
}
