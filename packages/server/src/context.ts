import { randomBytes } from 'node:crypto';
import { createClientRegistrations } from './connect/client-registrations.ts';
import type { ConnectionContext } from './connections/connection-context.ts';
import { MetadataCache } from './oauth/discovery/metadata-cache.ts';
import { createOAuthHttp, HttpClient } from './upstream/http-client.ts';
import type { TraceOutgoing } from './upstream/traced-request.ts';

/** The parts that work on connections needs, and the client that must be closed at the end. */
export type WorkingContext = ConnectionContext & { readonly client: HttpClient };

/** Builds the context of work on connections from the opened parts. */
export function createContext(
  opened: Pick<ConnectionContext, 'store' | 'vault' | 'log' | 'now' | 'delay' | 'config'>,
  { trace, onRefresh = () => undefined }: { trace?: TraceOutgoing; onRefresh?: ConnectionContext['onRefresh'] } = {},
): WorkingContext {
  const { now } = opened;
  const allowedNetworks = () => opened.config().server.allowed_private_networks;
  const client = new HttpClient({ allowedNetworks, ...(trace ? { trace } : {}) });
  return {
    ...opened,
    onRefresh,
    client,
    authorizationServers: new MetadataCache(now),
    protectedResources: new MetadataCache(now),
    registrations: createClientRegistrations(opened),
    unguardedHttp: createOAuthHttp(client, { now }),
    guardedHttp: createOAuthHttp(client, { now, guarded: true }),
    random: Math.random,
    randomToken: () => randomBytes(32).toString('base64url'),
  };
}
