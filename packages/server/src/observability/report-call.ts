import type { CallReport, ReportCall } from '../calls/call-report.ts';
import type { Line, WriteLine } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { NameUser } from './user-ids.ts';

/**
 * Creates a function that logs one line for each call, and counts the call. URLs and headers are omitted, because they
 * may contain secrets.
 */
export function createReportCall({
  writeLine,
  metrics,
  nameUser,
  annotate,
}: {
  writeLine: WriteLine;
  metrics: Metrics;
  nameUser: NameUser;
  /** Adds attributes to the current span. */
  annotate: ((attributes: Record<string, string | number>) => void) | undefined;
}): ReportCall {
  return (report) => {
    metrics.call(report);
    writeLine((time) => lineOf(report, { time, userId: nameUser(report.userId) }));
    annotate?.({
      'nango.integration': report.integration,
      'nango.connection': report.connection ?? '',
      'nango.user_id': nameUser(report.userId),
      'nango.request_id': report.requestId ?? '',
      'nango.retries': report.retries,
      'nango.renewals': report.refreshes,
      ...(report.error === undefined ? {} : { 'error.type': report.error }),
    });
  };
}

/**
 * Returns the line of a call. Zeros are omitted, because people read it. It is created as one object, because a copy
 * takes half as much time again.
 */
function lineOf(report: CallReport, { time, userId }: { time: string; userId: string }): Line {
  return {
    level: 'info',
    time,
    integration: report.integration,
    userId,
    account: report.account,
    connection: report.connection,
    tags: report.tags,
    via: report.via,
    caller: report.caller,
    requestId: report.requestId,
    method: report.method,
    status: report.status,
    error: report.error,
    ms: report.ms,
    firstByteMs: report.firstByteMs,
    sentBytes: report.sentBytes || undefined,
    receivedBytes: report.receivedBytes || undefined,
    retries: report.retries || undefined,
    renewals: report.refreshes || undefined,
    redirects: report.redirects || undefined,
    msg: 'api call',
  };
}
