import { socketOwner, type OpenConnection } from '../connections/connection-context.ts';
import type { StreamedRequest } from '../upstream/http-client.ts';

type ConnectionSockets = Pick<StreamedRequest, 'owner' | 'guarded' | 'clientCertificate' | 'connectTimeoutMs'>;

/** Returns the settings of the sockets that the requests of a connection use. */
export function connectionSockets(connection: OpenConnection): ConnectionSockets {
  const { isGuarded, clientCertificate, timeouts } = connection.integration;
  return {
    owner: socketOwner(connection),
    guarded: isGuarded,
    clientCertificate,
    connectTimeoutMs: timeouts.connectMs,
  };
}
