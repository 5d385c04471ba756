import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { NangoError } from '../errors/nango-error.ts';

/** The body of every error this server answers with. */
export const errorBodySchema = z.object({
  error: z.object({
    type: z.string().describe('Stable code'),
    message: z.string().describe('What happened and what to do'),
    requestId: z.string().describe('Names the request in the server’s log'),
  }),
});

/** Turns whatever was thrown into an answer: the one place that does. */
export function handleError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, type, message, retryAfter } = describeError(error);
  if (status >= 500) request.log.error({ err: error }, message);
  if (retryAfter !== undefined) void reply.header('retry-after', retryAfter);
  const body: z.output<typeof errorBodySchema> = { error: { type, message, requestId: request.id } };
  return reply.code(status).header('cache-control', 'no-store').send(body);
}

interface DescribedError {
  readonly status: number;
  readonly type: string;
  readonly message: string;
  readonly retryAfter?: number | undefined;
}

function describeError(error: FastifyError): DescribedError {
  if (error instanceof NangoError)
    return { status: error.status, type: error.code, message: error.message, retryAfter: error.retryAfter };
  if (hasZodFastifySchemaValidationErrors(error))
    return { status: 400, type: 'invalid_request', message: describeValidation(error) };
  const status = error.statusCode ?? 500;
  // Fastify's own refusals: malformed JSON, a body too large, an unknown content type.
  if (status >= 400 && status < 500) return { status, type: 'invalid_request', message: error.message };
  return {
    status: 500,
    type: 'internal_error',
    message: 'Something failed inside the server; its log says what, under this request id.',
  };
}

function describeValidation({ validation, validationContext }: FastifyError): string {
  const faults = (validation ?? []).map(({ instancePath, message }) => {
    const path = instancePath.split('/').filter(Boolean).join('.');
    return path === '' ? (message ?? '') : `${path}: ${message}`;
  });
  return `The ${validationContext ?? 'request'} is not valid. ${faults.join('; ')}`;
}
