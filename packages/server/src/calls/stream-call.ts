import type { IncomingMessage } from 'node:http';
import type { Dispatcher } from 'undici';
import type { HttpClient } from '../upstream/http-client.ts';
import type { ApiCall, OpenCall } from './api-call.ts';
import type { AuthorizedRequest } from './authorize-request.ts';
import { NO_BODY, takeBody } from './call-body.ts';
import { connectionSockets } from './connection-sockets.ts';
import type { IsReplaced } from './follow-ups.ts';
import { sendCall, type Calling } from './send-call.ts';

/** Takes one response, piece by piece. */
export interface Receiver<T> extends Dispatcher.DispatchHandler {
  /** Resolves when the response was forwarded or replaced. */
  readonly settled: Promise<T | 'replaced'>;
}

/** The caller's side of a streamed call. */
export interface StreamCaller<T> {
  readonly incoming: IncomingMessage;
  /** Milliseconds without data after which the caller counts as gone. */
  readonly idleMs: number;
  /** Whether the caller asks for a WebSocket. */
  readonly wantsUpgrade: boolean;
  /** Called before the body is read, if there is one. */
  readonly onBody: () => void;
  /** `endsAt` is the time at which the call must end, in `performance.now()` time; undefined = never. */
  readonly receive: (isReplaced: IsReplaced, endsAt: number | undefined) => Receiver<T>;
}

/** Sends a call whose body and response are streamed. Throws the errors of {@link sendCall} and {@link takeBody}. */
export function streamCall<T>(
  call: ApiCall,
  { incoming, idleMs, wantsUpgrade, onBody, receive }: StreamCaller<T>,
  calling: Calling & { readonly client: HttpClient },
): Promise<T> {
  let taken = NO_BODY;
  let endsAt: number | undefined;
  const prepare = async ({ connection: { integration, mode } }: OpenCall) => {
    const { totalMs } = integration.timeouts;
    endsAt = totalMs === 0 ? undefined : call.started + totalMs;
    const onBytes = (count: number) => void (call.sentBytes += count);
    const times = { endsAt, callerIdleMs: idleMs };
    taken = await takeBody(incoming, { signed: mode.sign !== undefined, onBody, onBytes, times });
    call.body = taken.bytes;
    call.isReplayable = !taken.stream;
  };
  const send = async (request: AuthorizedRequest, { connection, redirect }: OpenCall, isReplaced: IsReplaced) => {
    const receiver = receive(isReplaced, endsAt);
    const { headersMs: headersTimeout, idleMs: bodyTimeout } = connection.integration.timeouts;
    const { bytes, stream, contentLength } = redirect?.keepsBody === false ? NO_BODY : taken;
    const sent = { ...request, body: bytes ?? stream, contentLength, headersTimeout, bodyTimeout };
    const upgrade = wantsUpgrade ? { upgrade: 'websocket', http1: true } : {};
    calling.client.stream({ ...connectionSockets(connection), ...sent, ...upgrade }, receiver);
    const forwarded = await receiver.settled;
    if (forwarded !== 'replaced') taken.stream?.unpipe().resume();
    return forwarded;
  };
  return sendCall(call, { prepare, send }, calling);
}
