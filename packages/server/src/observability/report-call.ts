import type { CallReport, ReportCall } from '../calls/call-report.ts';
import type { Line, WriteLine } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { NameUser } from './user-ids.ts';

/**
 * Writes one line of the log for each call, and counts it. URLs and headers are left out, because they may hold
 * secrets.
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
  /** Adds to the current span. */
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
 * Zeros are omitted, because people read the line. It is made as one object, because copying it costs half as much
 * again.
 */
function lineOf(report: CallReport, { time, userId }: { time: string; userId: string }): Line {
  return {
    level: 'info',
    time,
    integration: report.integration,
    userId,
    account: report.account,
    connection: report.connection,
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
