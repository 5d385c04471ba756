import type { FastifyRequest } from 'fastify';
import type { RequestRoute } from '../connect/connect-sessions.ts';

// A proxy on this machine forwards requests of other machines. It reports them in one of these headers.
const FORWARDING = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip'];

/** Returns how a request arrived: the peer, the host, and whether a proxy forwarded it. */
export function routeOf({ headers, raw: { socket } }: Pick<FastifyRequest, 'headers' | 'raw'>): RequestRoute {
  return {
    address: socket.remoteAddress ?? '',
    host: headers.host ?? '',
    isForwarded: FORWARDING.some((name) => headers[name] !== undefined),
  };
}
