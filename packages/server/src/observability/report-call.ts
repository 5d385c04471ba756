import type { CallReport, ReportCall } from '../connections/call-report.ts';
import type { Metrics } from './metrics.ts';
import type { NameUser } from './user-ids.ts';

/** Writes one line of the log for each call, and counts it. Neither URLs nor headers: both may carry secrets. */
export function createReportCall({
  writeLine,
  metrics,
  nameUser,
  annotate,
}: {
  writeLine: (fields: object, message: string) => void;
  metrics: Metrics;
  nameUser: NameUser;
  /** Adds to the current span. */
  annotate: ((attributes: Record<string, string | number>) => void) | undefined;
}): ReportCall {
  return (report) => {
    metrics.call(report);
    writeLine(fieldsOf(report, nameUser), 'api call');
    annotate?.({
      'nango.integration': report.integration,
      'nango.connection': report.uuid ?? '',
      'nango.user_id': nameUser(report.userId),
      'nango.request_id': report.requestId ?? '',
      'nango.retries': report.retries,
      'nango.renewals': report.renewals,
      ...(report.error === undefined ? {} : { 'error.type': report.error }),
    });
  };
}

/** What is nothing is left out: the line is read by people, and written for every call. */
function fieldsOf(report: CallReport, nameUser: NameUser): object {
  return {
    integration: report.integration,
    userId: nameUser(report.userId),
    connection: report.uuid,
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
    renewals: report.renewals || undefined,
    redirects: report.redirects || undefined,
  };
}
