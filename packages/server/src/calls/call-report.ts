import type { ConnectionKey } from '../store/store.ts';

/** A call to a connection's API that ended, as log, metrics and traces tell of it. */
export interface CallReport extends ConnectionKey {
  /** The connection's; undefined when the call ended before it was found. */
  readonly uuid: string | undefined;
  readonly via: CallOrigin['via'];
  readonly caller: string | undefined;
  readonly requestId: string | undefined;
  readonly method: string;
  /** The API's status; undefined when it gave no answer that was passed on. */
  readonly status: number | undefined;
  /** The code of an error of ours; `caller_gone` when nobody waited for the answer any more. */
  readonly error: string | undefined;
  /** Milliseconds, whole. */
  readonly ms: number;
  /** Milliseconds until the API's answer began. */
  readonly firstByteMs: number | undefined;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly retries: number;
  readonly refreshes: number;
  readonly redirects: number;
}

/** Where a call came from. */
export interface CallOrigin {
  readonly via: 'proxy' | 'request' | 'action';
  /** Name of the secret key; undefined for an Action. */
  readonly caller?: string | undefined;
  readonly requestId?: string | undefined;
}

/** Told of every call, once. */
export type ReportCall = (report: CallReport) => void;
