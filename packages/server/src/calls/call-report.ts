import { isById, type ConnectionReference } from '../connections/connection-reference.ts';
import type { OpenConnection } from '../connections/connection-context.ts';
import { DEFAULT_ACCOUNT } from '../store/store.ts';

/** The result of a call to a connection's API, for log, metrics and traces. */
export interface CallReport {
  readonly integration: string;
  readonly userId: string;
  /** Undefined for the default account. */
  readonly account: string | undefined;
  /** The connection's id; undefined if the call ended before it was found. */
  readonly connection: string | undefined;
  /** Undefined if it has none. */
  readonly tags: Readonly<Record<string, string>> | undefined;
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

type ConnectionNames = Pick<CallReport, 'integration' | 'userId' | 'account' | 'connection' | 'tags'>;

/** The names of a call's connection. If it was not found, those that the caller sent; empty if it sent none. */
export function connectionNames(
  reference: ConnectionReference,
  connection: Pick<OpenConnection, 'row' | 'tags'> | undefined,
): ConnectionNames {
  const { row, tags } = connection ?? {};
  const key = row ?? reference;
  if (isById(key))
    return { integration: key.integration ?? '', userId: '', account: undefined, connection: undefined, tags };
  const { integration, userId, account } = key;
  return { integration, userId, account: account === DEFAULT_ACCOUNT ? undefined : account, connection: row?.id, tags };
}
