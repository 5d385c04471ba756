import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { ActionCatalog } from '../actions/action-catalog.ts';
import type { RunAction } from '../actions/run-action.ts';
import type { BlueprintCatalog } from '../catalog/blueprint-catalog.ts';
import type { BlueprintIndex } from '../catalog/blueprint-index.ts';
import type { ConnectFlow } from '../connect/connect-flow.ts';
import type { ConnectionContext } from '../connections/connection-context.ts';
import type { DeviceFlow } from '../connect/device-flow.ts';
import type { Connections } from '../connections/connections.ts';
import type { ReportCall } from '../calls/call-report.ts';
import type { ReadPage } from '../calls/read-page.ts';
import type { FreshCredentials } from '../refresh/fresh-credentials.ts';
import type { FollowUps } from '../calls/follow-ups.ts';
import type { RequestLimits } from '../calls/request-limits.ts';
import type { SendRequest } from '../calls/send-request.ts';
import type { EventLog } from '../events/event-log.ts';
import type { HttpClient } from '../upstream/http-client.ts';
import type { AuditLog } from '../observability/audit-log.ts';
import type { Tracing } from '../observability/tracing.ts';
import type { ClientAddress } from './client-address.ts';
import type { SecretKeys } from './secret-keys.ts';

/** A Fastify instance whose route schemas are zod's. */
export type App = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

/** The parts that the HTTP routes need. */
export interface ServerContext {
  readonly version: string;
  readonly secretKeys: SecretKeys;
  readonly clientAddress: ClientAddress;
  readonly audit: AuditLog;
  readonly context: ConnectionContext;
  readonly connections: Connections;
  readonly fresh: FreshCredentials;
  readonly flow: ConnectFlow;
  readonly devices: DeviceFlow;
  readonly sendRequest: SendRequest;
  readonly readPage: ReadPage;
  readonly limits: RequestLimits;
  readonly followUps: FollowUps;
  readonly report: ReportCall;
  /** Returns the metrics in Prometheus' text format. */
  readonly metrics: () => Promise<string>;
  readonly client: HttpClient;
  readonly actions: ActionCatalog;
  readonly blueprints: BlueprintCatalog;
  readonly blueprintIndex: BlueprintIndex;
  readonly runAction: RunAction;
  readonly events: EventLog;
  /** Starts a delivery of webhooks soon, because there may be something to deliver. */
  readonly nudgeWebhooks: () => void;
  /** Undefined = no traces. */
  readonly tracing: Pick<Tracing, 'incoming' | 'route'> | undefined;
  /** Whether the server is stopping, so that requests should go to other servers. */
  readonly isStopping: () => boolean;
}

/** Whether browsers reach this server by https. */
export function isSecureRoot({ config }: ConnectionContext): boolean {
  return config().server.oauth_server_root_url.protocol === 'https:';
}
