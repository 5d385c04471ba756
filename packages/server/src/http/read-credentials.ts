import type { IncomingMessage, ServerResponse } from 'node:http';
import { withCredentials } from '../connections/public-connection.ts';
import type { OpenConnection } from '../connections/connection-context.ts';
import { DEFAULT_ACCOUNT } from '../store/store.ts';
import { CREDENTIALS_READ, recordRequest, type AuditContext } from './audit.ts';
import { requestIdOf } from './request-id.ts';
import { NO_STORE, routeHeaders } from './response-headers.ts';
import type { ServerContext } from './server-context.ts';

// Names that need no percent-encoding. The route serves all others.
const PLAIN_QUERY = /^\/api\/connection\?integration=([\w-]{1,100})&userId=([\w.@-]{1,100})$/;

/** Serves a request if that is possible at once. Returns whether it did. */
export type ReadCredentials = (request: IncomingMessage, response: ServerResponse) => boolean;

/**
 * Serves reads of cached connections before the router, because applications that call APIs themselves read credentials
 * for each call. The route serves everything else, with the same responses.
 */
export function createReadCredentials({
  secretKeys,
  fresh,
  tracing,
  ...context
}: AuditContext & Pick<ServerContext, 'secretKeys' | 'fresh' | 'tracing'>): ReadCredentials {
  const bodies = new WeakMap<OpenConnection, string>();
  /** The bytes of the body, one in each character. So head and body are one string, and are sent with one write. */
  const bodyOf = (connection: OpenConnection) => {
    const cached = bodies.get(connection);
    if (cached !== undefined) return cached;
    const body = Buffer.from(JSON.stringify(withCredentials(connection))).toString('latin1');
    bodies.set(connection, body);
    return body;
  };
  return (request, response) => {
    const [, integration, userId] = PLAIN_QUERY.exec(request.url ?? '') ?? [];
    if (integration === undefined || userId === undefined || request.method !== 'GET') return false;
    const actor = secretKeys.permits(request.headers.authorization, 'connections:read');
    const connection =
      actor === undefined ? undefined : fresh.cached({ integration, userId, account: DEFAULT_ACCOUNT });
    if (!connection) return false;
    tracing?.route(request, '/api/connection');
    const requestId = requestIdOf(request.headers);
    const entry = { action: CREDENTIALS_READ, actor, integration, userId, status: 200, requestId, from: request };
    recordRequest(context, entry);
    const body = bodyOf(connection);
    response
      .writeHead(200, {
        'content-length': body.length,
        'content-type': 'application/json; charset=utf-8',
        ...NO_STORE,
        ...routeHeaders(requestId),
      })
      .end(body, 'latin1');
    return true;
  };
}
