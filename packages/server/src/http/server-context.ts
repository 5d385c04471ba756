import type { ActionCatalog } from '../actions/action-catalog.ts';
import type { RunAction } from '../actions/run-action.ts';
import type { ConnectFlow } from '../connections/connect-flow.ts';
import type { ConnectionContext } from '../connections/connection-context.ts';
import type { DeviceFlow } from '../connections/device-flow.ts';
import type { Connections } from '../connections/connections.ts';
import type { SendRequest } from '../connections/send-request.ts';
import type { EventLog } from '../events/event-log.ts';
import type { HttpClient } from '../upstream/http-client.ts';
import type { Secret } from '../vault/secret.ts';

/** What the HTTP routes work with. */
export interface ServerContext {
  readonly version: string;
  readonly secretKey: Secret<string>;
  readonly context: ConnectionContext;
  readonly connections: Connections;
  readonly flow: ConnectFlow;
  readonly devices: DeviceFlow;
  readonly sendRequest: SendRequest;
  readonly client: HttpClient;
  readonly actions: ActionCatalog;
  readonly runAction: RunAction;
  readonly events: EventLog;
  /** Tells that there may be something to deliver. */
  readonly nudgeWebhooks: () => void;
  /** Whether requests should still be sent here. */
  readonly isStopping: () => boolean;
}

/** The redirect URI to register at providers. */
export function callbackUrl({ config }: ConnectionContext): string {
  return `${rootUrl(config().server.oauth_server_root_url)}/oauth/callback`;
}

/** Whether browsers reach this server by https. */
export function isSecureRoot({ config }: ConnectionContext): boolean {
  return config().server.oauth_server_root_url.protocol === 'https:';
}

/** The public root, without a slash at its end. */
export function rootUrl(url: URL): string {
  return url.href.replace(/\/$/, '');
}
