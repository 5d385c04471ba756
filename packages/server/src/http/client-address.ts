import type { IncomingMessage } from 'node:http';
import proxyAddress from '@fastify/proxy-addr';

// Longer than any address; what a proxy passes on could be anything.
const MAX_LENGTH = 64;

/** The address of who sent a request: the peer's, or what trusted proxies say. */
export type ClientAddress = (request: Pick<IncomingMessage, 'socket' | 'headers'>) => string;

/**
 * Reads `X-Forwarded-For` from its end, as far as each address is a proxy in one of the `trusted` networks: the first that is
 * not is the client's. Whoever is not trusted cannot say who he is. `trusted` is asked each time, so that a reload takes effect.
 */
export function createClientAddress(trusted: () => readonly string[]): ClientAddress {
  let known: { networks: readonly string[]; trust: (address: string, hop: number) => boolean } | undefined;
  return (request) => {
    const networks = trusted();
    if (networks.length === 0) return request.socket.remoteAddress ?? '';
    if (known?.networks !== networks) known = { networks, trust: proxyAddress.compile([...networks]) };
    // The library reads nothing of a request but these two.
    return proxyAddress(request as IncomingMessage, known.trust).slice(0, MAX_LENGTH);
  };
}
