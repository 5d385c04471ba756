import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Cleanup } from './temporary-folder.ts';

/** Listens on loopback until the test ends, on the given port or any free one. Resolves to the port. */
export async function listen(cleanup: Cleanup, server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve) => server.listen(port, 'localhost', resolve));
  cleanup.after(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return (server.address() as AddressInfo).port;
}
