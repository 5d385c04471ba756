import type { ConnectionKey } from '../store/store.ts';

/** The result of a call to a connection's API, for log, metrics and traces. */
export interface CallReport extends ConnectionKey {
  /** The connection's uuid; undefined if the call ended before it was found. */
  readonly uuid: string | undefined;
  readonly via: CallOrigin['via'];
  readonly caller: string | undefined;
  readonly requestId: string | undefined;
  readonly method: string;
  /** The API's status; undefined if no response was forwarded. */
  readonly status: number | undefined;
  /** The code of our own error; `caller_gone` if the caller disconnected. */
  readonly error: string | undefined;
  /** Whole milliseconds. */
  readonly ms: number;
  /** Milliseconds until the API's response began. */
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

/** Called once for every call. */
export type ReportCall = (report: CallReport) => void;
