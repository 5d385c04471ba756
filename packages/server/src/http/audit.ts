import type { FastifyRequest, onSendAsyncHookHandler } from 'fastify';
import { z } from 'zod';
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
});

/** The parts that write the records. */
export type AuditContext = Pick<ServerContext, 'audit' | 'clientAddress'>;

/** Records requests of routes that name an action, before the response is sent. Rejected requests are recorded, too. */
export function auditRequests({ audit, clientAddress }: AuditContext): onSendAsyncHookHandler {
  return async (request, reply) => {
    const { audit: action } = request.routeOptions.config;
    if (action === undefined) return;
    const { integration, userId } = namesOf(request);
    const { caller: actor, id: requestId } = request;
    const address = clientAddress(request.raw);
    audit.record({ action, actor, integration, userId, status: reply.statusCode, requestId, address });
  };
}

function namesOf({ params, query, body }: FastifyRequest): z.output<typeof namesSchema> {
  const parts = [params, query, body].map((part) => namesSchema.safeParse(part).data);
  return {
    integration: parts.find((part) => part?.integration !== undefined)?.integration,
    userId: parts.find((part) => part?.userId !== undefined)?.userId,
  };
}

/** Records how a user connected an account: from a page, or from a device when the back end polls. */
export function recordConnect(
  { audit, clientAddress }: AuditContext,
  {
    request: { id: requestId, raw },
    actor = 'page',
    integration,
    userId,
    status,
  }: {
    request: FastifyRequest;
    actor?: string | undefined;
    integration: string;
    userId: string;
    status: string;
  },
): void {
  const code = status === 'succeeded' ? 200 : 400;
  const address = clientAddress(raw);
  audit.record({ action: 'connection.connect', actor, integration, userId, status: code, requestId, address });
}
