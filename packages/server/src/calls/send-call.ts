import type { ConnectionContext } from '../connections/connection-context.ts';
import type { FreshCredentials } from '../refresh/fresh-credentials.ts';
import type { ApiCall, OpenCall } from './api-call.ts';
import { authorizeRequest, type AuthorizedRequest } from './authorize-request.ts';
import type { FollowUps, IsReplaced } from './follow-ups.ts';
import type { RequestLimits } from './request-limits.ts';

/** The parts that calls need. */
export interface Calling {
  readonly fresh: FreshCredentials;
  readonly limits: RequestLimits;
  readonly followUps: FollowUps;
  readonly context: Pick<ConnectionContext, 'now' | 'randomToken'>;
}

/** How the requests of a call are sent. */
export interface Transport<T> {
  /** Called once, when the call has its connection and a place among the requests in flight. */
  readonly prepare: (call: OpenCall) => Promise<void> | void;
  /** Sends one request. Resolves to `replaced` if `isReplaced` says that another request must follow. */
  readonly send: (request: AuthorizedRequest, call: OpenCall, isReplaced: IsReplaced) => Promise<T | 'replaced'>;
}

/**
 * Sends the requests of a call until a response is final, and authorizes each of them. Throws the errors of
 * {@link FreshCredentials.get}, {@link RequestLimits.enter}, {@link authorizeRequest} and the transport.
 */
export async function sendCall<T>(
  call: ApiCall,
  { prepare, send }: Transport<T>,
  { fresh, limits, followUps, context }: Calling,
): Promise<T> {
  // A cached connection is not awaited.
  const connection = fresh.cached(call.reference) ?? (await fresh.get(call.reference));
  const open: OpenCall = Object.assign(call, { connection });
  return limits.run(connection, async () => {
    await prepare(open);
    for (;;) {
      const request = authorizeRequest(open, open.connection, context);
      open.sentTo = request.target;
      const sent = await send(request, open, (status, headers) =>
        followUps.sendsAgain(open, { status, headers, request }),
      );
      if (sent !== 'replaced') return sent;
    }
  });
}
