import type { HeaderFields } from '../formats/header-fields.ts';
import type { OpenCall } from './api-call.ts';
import type { SentRequest } from './authorize-request.ts';
import type { ConnectionContext } from '../connections/connection-context.ts';
import type { FreshCredentials } from '../refresh/fresh-credentials.ts';
import { lackedScopes } from './lacked-scopes.ts';
import { redirectOf } from './redirects.ts';
import { RetryQueue, waitBeforeRetry } from './retry-policy.ts';

/** The head of an API's response; names in lower case. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: HeaderFields;
  /** The request that it responds to. */
  readonly request: SentRequest;
}

/** Whether another request follows a response, so that the response is dropped. No promise if the response is final. */
export type IsReplaced = (status: number, headers: HeaderFields) => Promise<boolean> | false;

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
  sendsAgain(call: OpenCall, response: ResponseHead): Promise<boolean> | false {
    const { status } = response;
    if (status < 300) return false;
    call.lackedScopes = lackedScopes(call.connection, response);
    if (status < 400) return this.#redirect(call, response);
    if (status === 401) return call.isReplayable && call.refreshes === 0 ? this.#refresh(call) : false;
    return call.isReplayable ? this.#retry(call, response) : false;
  }

  async #refresh(call: OpenCall): Promise<boolean> {
    call.refreshes += 1;
    const refreshed = await this.#fresh.afterRejection(call.connection);
    if (refreshed) call.connection = refreshed;
    return refreshed !== undefined;
  }

  #retry(call: OpenCall, { status, headers, request }: ResponseHead): Promise<boolean> | false {
    const { retries, connection } = call;
    const { method } = request;
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

  #redirect(call: OpenCall, { status, headers, request }: ResponseHead): Promise<boolean> | false {
    const { redirects, isReplayable, connection } = call;
    const { method, target: from } = request;
    const response = { method, status, location: headers['location'], from, redirects, isReplayable };
    const { allowHttp, requests } = connection.integration;
    const redirect = redirectOf(response, {
      apiOrigin: request.apiOrigin,
      listed: requests.redirectOrigins,
      allowHttp,
    });
    if (!redirect) return false;
    call.redirects += 1;
    call.redirect = redirect;
    return Promise.resolve(true);
  }
}
