import type { IncomingMessage } from 'node:http';
import proxyAddress from '@fastify/proxy-addr';

// Longer than any address; a proxy can forward any text.
const MAX_LENGTH = 64;

/** Returns the client's address: the peer's, or the one that trusted proxies report. */
export type ClientAddress = (request: Pick<IncomingMessage, 'socket' | 'headers'>) => string;

/**
 * Reads `X-Forwarded-For` from its end. The first address that is not a proxy in one of the `trusted` networks is the
 * client's. Other peers cannot choose their address. `trusted` is called each time, so that a reload takes effect.
 */
export function createClientAddress(trusted: () => readonly string[]): ClientAddress {
  let cached: { networks: readonly string[]; trust: (address: string, hop: number) => boolean } | undefined;
  return (request) => {
    const networks = trusted();
    if (networks.length === 0) return request.socket.remoteAddress ?? '';
    if (cached?.networks !== networks) cached = { networks, trust: proxyAddress.compile([...networks]) };
    // The library reads only these two members of a request.
    return proxyAddress(request as IncomingMessage, cached.trust).slice(0, MAX_LENGTH);
  };
}
