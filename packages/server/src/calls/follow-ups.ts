import type { ConnectionKey } from '../store/store.ts';
import type { SentRequest } from './authorize-request.ts';
import type { ConnectionContext, OpenConnection } from '../connections/connection-context.ts';
import type { FreshCredentials } from '../refresh/fresh-credentials.ts';
import { redirectOf } from './redirects.ts';
import { RetryQueue, waitBeforeRetry } from './retry-policy.ts';

/** A call to a connection's API that is under way; what is sent next stands in it. */
export interface ApiCall {
  readonly key: ConnectionKey;
  connection: OpenConnection;
  method: string;
  /** Where a redirect led; undefined = the endpoint that was asked for. */
  target: URL | undefined;
  /** Where the request went that was sent last. */
  url: string | undefined;
  /** Whether the body is sent, too. */
  keepsBody: boolean;
  /** Whether the request can be sent again: it has no body, or one that is known as a whole. */
  isReplayable: boolean;
  readonly retry: RetryChoice;
  retries: number;
  refreshes: number;
  redirects: number;
}

/** What the caller chose about retries. */
export interface RetryChoice {
  /** At most so many; default 3. */
  readonly maxRetries?: number | undefined;
  /** Whether methods that are not idempotent may be sent again too, when the API was out of quota. */
  readonly anyMethod: boolean;
}

/** The head of an API's answer; names in lower case. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The request it answers. */
  readonly request: SentRequest;
}

/** A call at its beginning. */
export function beginCall(options: Pick<ApiCall, 'key' | 'connection' | 'method' | 'isReplayable' | 'retry'>): ApiCall {
  const { key, connection, method, isReplayable, retry } = options;
  const begun = { url: undefined, target: undefined, keepsBody: true, retries: 0, refreshes: 0, redirects: 0 };
  return { key, connection, method, isReplayable, retry, ...begun };
}

/**
 * Decides what follows an API's answer, for proxy, request() and Actions alike: a token that is refused is refreshed once, an
 * API that is out of quota is asked again after the time it names, a redirect to where it may lead is followed.
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

  /** Whether the call is sent again, as it then stands in `call`; false at once for an answer that stands. */
  after(call: ApiCall, answer: ResponseHead): Promise<boolean> | false {
    const { status } = answer;
    if (status < 300) return false;
    if (status < 400) return this.#redirect(call, answer);
    if (status === 401) return call.isReplayable && call.refreshes === 0 ? this.#refresh(call) : false;
    return call.isReplayable ? this.#retry(call, answer) : false;
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
    const waiting = wait === undefined ? undefined : this.#queue.wait(connection.row.uuid, wait);
    if (!waiting) return false;
    call.retries += 1;
    return waiting
      .then(() => this.#fresh.get(call.key))
      .then((again) => {
        call.connection = again;
        return true;
      });
  }

  #redirect(call: ApiCall, { status, headers, request }: ResponseHead): Promise<boolean> | false {
    const { method, redirects, isReplayable, connection } = call;
    const answer = { method, status, location: headers['location'], url: request.url, redirects, isReplayable };
    const { allowHttp, requests } = connection.integration;
    const redirect = redirectOf(answer, { apiOrigin: request.apiOrigin, listed: requests.redirectOrigins, allowHttp });
    if (!redirect) return false;
    call.redirects += 1;
    call.target = redirect.url;
    call.method = redirect.method;
    call.keepsBody &&= redirect.keepsBody;
    return Promise.resolve(true);
  }
}
