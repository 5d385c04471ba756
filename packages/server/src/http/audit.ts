import type { IncomingMessage } from 'node:http';
import type { FastifyRequest, onSendAsyncHookHandler } from 'fastify';
import { z } from 'zod';
import type { AuditEntry } from '../observability/audit-log.ts';
import type { ServerContext } from './server-context.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The action that the audit log records for this route. Without it, the request is not recorded. */
    audit?: string;
  }
}

const namesSchema = z.object({
  integration: z.string().max(200).optional().catch(undefined),
  userId: z.string().max(1_000).optional().catch(undefined),
  account: z.string().max(200).optional().catch(undefined),
  connectionId: z.string().max(100).optional().catch(undefined),
});

/** The parts that write the records. */
export type AuditContext = Pick<ServerContext, 'audit' | 'clientAddress'>;

/** The action that the audit log records for a read of credentials. */
export const CREDENTIALS_READ = 'credentials.read';

/** Records requests of routes that name an action, rejected ones too, before the response is sent. */
export function auditRequests(context: AuditContext): onSendAsyncHookHandler {
  return async (request, reply) => {
    const { audit: action } = request.routeOptions.config;
    if (action === undefined) return;
    const { caller: actor, id: requestId, raw: from } = request;
    recordRequest(context, { action, actor, ...namesOf(request), status: reply.statusCode, requestId, from });
  };
}

/** Records one request, with the address of its client. */
export function recordRequest(
  { audit, clientAddress }: AuditContext,
  { from, ...entry }: Omit<AuditEntry, 'address'> & { readonly from: IncomingMessage },
): void {
  audit.record({ ...entry, address: clientAddress(from) });
}

type ConnectionNames = Pick<AuditEntry, 'integration' | 'userId' | 'account' | 'connection'>;

/** The names of the connection that a request concerns, wherever the request has them. */
function namesOf({ params, query, body }: FastifyRequest): ConnectionNames {
  const parts = [params, query, body].map((part) => namesSchema.safeParse(part).data);
  const nameOf = (field: keyof z.output<typeof namesSchema>) =>
    parts.find((part) => part?.[field] !== undefined)?.[field];
  return {
    integration: nameOf('integration'),
    userId: nameOf('userId'),
    account: nameOf('account'),
    connection: nameOf('connectionId'),
  };
}

/** Records how a user connected an account: from a page, or from a device when the back end polls. */
export function recordConnect(
  context: AuditContext,
  {
    request: { id: requestId, raw: from },
    actor = 'page',
    integration,
    userId,
    account,
    status,
  }: {
    request: FastifyRequest;
    actor?: string | undefined;
    integration: string;
    userId: string;
    account: string;
    status: string;
  },
): void {
  const code = status === 'succeeded' ? 200 : 400;
  const names = { integration, userId, account };
  recordRequest(context, { action: 'connection.connect', actor, ...names, status: code, requestId, from });
}
