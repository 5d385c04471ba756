import type { ConnectionContext } from '../connections/connection-context.ts';
import type { HttpClient } from '../upstream/http-client.ts';

/** The parts of the context that events and their delivery need. */
export interface EventContext extends Pick<
  ConnectionContext,
  'store' | 'config' | 'log' | 'now' | 'random' | 'randomToken'
> {
  readonly client: Pick<HttpClient, 'send'>;
}
