import { ServerResponse, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { responseHeaders } from './proxy-headers.ts';
import { PROXY_PATH } from './proxy-request.ts';
import type { Proxy } from './proxy.ts';

/** Whether a request asks the proxy for a WebSocket (RFC 6455 §4.1). Other upgrades are ignored. */
export function isUpgrade({ url, headers }: IncomingMessage): boolean {
  return url?.startsWith(PROXY_PATH) === true && headers.upgrade?.toLowerCase() === 'websocket';
}

/** WebSockets through the proxy. */
export interface Upgrades {
  /** Takes the socket of a request for which {@link isUpgrade} is true. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Ends all open WebSockets. */
  close(): void;
}

/**
 * Sends the handshake through the proxy like any other request. If the API agrees, bytes are forwarded unchanged in
 * both directions. When one side ends, the other ends too.
 */
export function createUpgrades(proxy: Proxy): Upgrades {
  const open = new Set<Duplex>();
  let closed = false;
  return {
    handle(request, socket, head) {
      const response = new ServerResponse(request);
      response.shouldKeepAlive = false;
      // The socket belongs to an HTTP server.
      response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0]);
      response.once('finish', () => socket.end());
      socket.on('error', () => socket.destroy());
      proxy(request, response, (headers, upstream) => {
        response.detachSocket(socket as Parameters<ServerResponse['detachSocket']>[0]);
        // The handshake was in progress when the server began to stop.
        if (closed) {
          socket.destroy();
          upstream.destroy();
          return;
        }
        open.add(socket);
        socket.once('close', () => open.delete(socket));
        socket.write(switchingHead(headers), 'latin1');
        upstream.write(head);
        join(socket, upstream);
      });
    },
    close() {
      closed = true;
      for (const socket of open) socket.destroy();
    },
  };
}

function join(one: Duplex, other: Duplex): void {
  one.pipe(other).pipe(one);
  for (const [ended, left] of [
    [one, other],
    [other, one],
  ] as const)
    ended.once('error', () => left.destroy()).once('close', () => left.destroy());
}

function switchingHead(headers: Parameters<typeof responseHeaders>[0]): string {
  const passed = responseHeaders(headers, { withLength: false });
  let fields = '';
  for (let index = 0; index < passed.length; index += 2) fields += `${passed[index]}: ${passed[index + 1]}\r\n`;
  return `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n${fields}\r\n`;
}
