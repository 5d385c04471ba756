import { socketOwner, type OpenConnection } from '../connections/connection-context.ts';
import type { StreamedRequest } from '../upstream/http-client.ts';

type ConnectionSockets = Pick<StreamedRequest, 'owner' | 'guarded' | 'clientCertificate' | 'connectTimeoutMs'>;

/** Which sockets the requests of a connection use, and how these are made. */
export function connectionSockets(connection: OpenConnection): ConnectionSockets {
  const { isGuarded, clientCertificate, timeouts } = connection.integration;
  return {
    owner: socketOwner(connection),
    guarded: isGuarded,
    clientCertificate: clientCertificate?.reveal(),
    connectTimeoutMs: timeouts.connectMs,
  };
}
