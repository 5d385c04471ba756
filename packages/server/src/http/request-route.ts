import type { FastifyRequest } from 'fastify';
import type { RequestRoute } from '../connect/connect-sessions.ts';

// A proxy on this machine forwards for callers elsewhere, and says so in one of these headers.
const FORWARDING = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip'];

/** How a request arrived: from which peer, to which host, and whether through a proxy. */
export function routeOf({ headers, raw: { socket } }: Pick<FastifyRequest, 'headers' | 'raw'>): RequestRoute {
  return {
    address: socket.remoteAddress ?? '',
    host: headers.host ?? '',
    isForwarded: FORWARDING.some((name) => headers[name] !== undefined),
  };
}
