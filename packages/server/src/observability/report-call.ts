import type { CallReport, ReportCall } from '../connections/call-report.ts';
import type { Log } from '../connections/connection-context.ts';
import type { Metrics } from './metrics.ts';
import type { NameUser } from './user-ids.ts';

/** Writes one line of the log for each call, and counts it. Neither URLs nor headers: both may carry secrets. */
export function createReportCall({
  log,
  metrics,
  nameUser,
  annotate,
}: {
  log: Log;
  metrics: Metrics;
  nameUser: NameUser;
  /** Adds to the current span. */
  annotate: ((attributes: Record<string, string | number>) => void) | undefined;
}): ReportCall {
  return (report) => {
    // A caller without a right or a connection names integrations as he likes; they would be metrics for ever.
    metrics.call(report.uuid === undefined ? { ...report, integration: '' } : report);
    log.info(fieldsOf(report, nameUser), 'api call');
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

function fieldsOf({ uuid, userId, ...report }: CallReport, nameUser: NameUser): object {
  return { ...report, userId: nameUser(userId), connection: uuid };
}
