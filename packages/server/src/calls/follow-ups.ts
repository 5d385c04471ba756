import type { HeaderFields } from '../formats/header-fields.ts';
import {
  authorizeRedirect,
  authorizeRequest,
  type ApiRequest,
  type AuthorizedRequest,
  type SentRequest,
} from './authorize-request.ts';
import type { ConnectionContext, OpenConnection } from '../connections/connection-context.ts';
import type { FreshCredentials } from '../refresh/fresh-credentials.ts';
import { redirectOf } from './redirects.ts';
import { RetryQueue, waitBeforeRetry } from './retry-policy.ts';
import type { RequestTarget } from '../formats/request-target.ts';

/** A call to a connection's API in progress, with the request that is sent next. */
export interface ApiCall {
  connection: OpenConnection;
  method: string;
  /** Where a redirect led; undefined = the requested endpoint. */
  redirectedTo: RequestTarget | undefined;
  /** Where the last request was sent. */
  sentTo: RequestTarget | undefined;
  /** Whether the next request carries the body, too. */
  keepsBody: boolean;
  /** Whether the request can be sent again: it has no body, or the whole body is in memory. */
  isReplayable: boolean;
  readonly retry: RetryChoice;
  retries: number;
  refreshes: number;
  redirects: number;
}

/** The caller's choices about retries. */
export interface RetryChoice {
  /** Maximum number of retries; default 3. */
  readonly maxRetries?: number | undefined;
  /** Whether methods that are not idempotent are retried too, if the API was out of quota. */
  readonly anyMethod: boolean;
}

/** The head of an API's response; names in lower case. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: HeaderFields;
  /** The request that it responds to. */
  readonly request: SentRequest;
}

/** Returns a call that has sent nothing yet. */
export function beginCall(options: Pick<ApiCall, 'connection' | 'method' | 'isReplayable' | 'retry'>): ApiCall {
  const { connection, method, isReplayable, retry } = options;
  const begun = { sentTo: undefined, redirectedTo: undefined, keepsBody: true, retries: 0, refreshes: 0, redirects: 0 };
  return { connection, method, isReplayable, retry, ...begun };
}

/** Authorizes the request that a call sends next: the caller's own, or the one that follows a redirect. */
export function nextRequest(
  { connection, method, redirectedTo, keepsBody }: ApiCall,
  { endpoint, params, headers, body }: Omit<ApiRequest<string>, 'method'>,
  context: Pick<ConnectionContext, 'now' | 'randomToken'>,
): AuthorizedRequest {
  const request = { method, headers, body: keepsBody ? body : undefined };
  return redirectedTo
    ? authorizeRedirect({ ...request, target: redirectedTo }, connection, context)
    : authorizeRequest({ ...request, endpoint, params }, connection, context);
}

/**
 * Decides what follows an API's response, for the proxy, `request()` and Actions alike. A rejected token is refreshed
 * once. An API that is out of quota is called again after the time that it names. An allowed redirect is followed.
 */
export class FollowUps {
  readonly #fresh: FreshCredentials;
  readonly #context: Pick<ConnectionContext, 'now'>;
  readonly #queue: RetryQueue;

  constructor(fresh: FreshCredentials, context: Pick<ConnectionContext, 'now' | 'delay'>) {
    this.#fresh = fresh;
    this.#context = context;
    this.#queue = new RetryQueue(context.delay);
  }

  /**
   * Whether the call is sent again; `call` then holds the next request. Returns no promise if the response is final.
   */
  sendsAgain(call: ApiCall, response: ResponseHead): Promise<boolean> | false {
    const { status } = response;
    if (status < 300) return false;
    if (status < 400) return this.#redirect(call, response);
    if (status === 401) return call.isReplayable && call.refreshes === 0 ? this.#refresh(call) : false;
    return call.isReplayable ? this.#retry(call, response) : false;
  }

  async #refresh(call: ApiCall): Promise<boolean> {
    call.refreshes += 1;
    const refreshed = await this.#fresh.afterRejection(call.connection);
    if (refreshed) call.connection = refreshed;
    return refreshed !== undefined;
  }

  #retry(call: ApiCall, { status, headers }: ResponseHead): Promise<boolean> | false {
    const { method, retries, connection } = call;
    const policy = { ...call.retry, rateLimit: connection.integration.requests.rateLimit };
    const wait = waitBeforeRetry({ method, status, headers, retries }, policy, this.#context.now());
    const waiting = wait === undefined ? undefined : this.#queue.wait(connection.row.id, wait);
    if (!waiting) return false;
    call.retries += 1;
    return waiting
      .then(() => this.#fresh.get(connection.row))
      .then((again) => {
        call.connection = again;
        return true;
      });
  }

  #redirect(call: ApiCall, { status, headers, request }: ResponseHead): Promise<boolean> | false {
    const { method, redirects, isReplayable, connection } = call;
    const response = { method, status, location: headers['location'], from: request.target, redirects, isReplayable };
    const { allowHttp, requests } = connection.integration;
    const redirect = redirectOf(response, {
      apiOrigin: request.apiOrigin,
      listed: requests.redirectOrigins,
      allowHttp,
    });
    if (!redirect) return false;
    call.redirects += 1;
    call.redirectedTo = redirect.target;
    call.method = redirect.method;
    call.keepsBody &&= redirect.keepsBody;
    return Promise.resolve(true);
  }
}
