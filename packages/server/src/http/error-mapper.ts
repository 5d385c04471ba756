import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { INTERNAL_ERROR, messageOf, NangoError } from '../errors/nango-error.ts';

/** The body of every error response. */
export const errorBodySchema = z.object({
  error: z.object({
    type: z.string().describe('The stable code of the error'),
    message: z.string().describe('What happened and what to do'),
    requestId: z.string().describe('The id of the request in the server’s log'),
  }),
});

/** Sends the response for a thrown value. All errors of routes end here. */
export function handleError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, headers, body } = errorResponse(error, request.id);
  const isLogged = error instanceof NangoError && error.isLogged;
  if (status >= 500 && !isLogged) request.log.error({ err: error }, body.error.message);
  return reply.code(status).headers(headers).send(body);
}

/** The response to a request that ended in an error. */
export interface ErrorResponse {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: z.output<typeof errorBodySchema>;
}

/** Maps any thrown value to a response. This is the only place that does so. */
export function errorResponse(error: unknown, requestId: string): ErrorResponse {
  const { status, type, message, retryAfter } = describeError(error);
  const headers: Record<string, string> = { 'cache-control': 'no-store', 'nango-request-id': requestId };
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter);
  return { status, headers, body: { error: { type, message, requestId } } };
}

interface DescribedError {
  readonly status: number;
  readonly type: string;
  readonly message: string;
  readonly retryAfter?: number | undefined;
}

function describeError(error: unknown): DescribedError {
  if (error instanceof NangoError)
    return { status: error.status, type: error.code, message: error.message, retryAfter: error.retryAfter };
  if (hasZodFastifySchemaValidationErrors(error))
    return { status: 400, type: 'invalid_request', message: describeValidation(error) };
  const status = isFastifyError(error) ? (error.statusCode ?? 500) : 500;
  // Fastify's own errors: malformed JSON, a body that is too large, an unknown content type.
  if (status >= 400 && status < 500) return { status, type: 'invalid_request', message: messageOf(error) };
  return { status: 500, ...INTERNAL_ERROR };
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && 'statusCode' in error;
}

function describeValidation({ validation, validationContext }: FastifyError): string {
  const faults = (validation ?? []).map(({ instancePath, message }) => {
    const path = instancePath.split('/').filter(Boolean).join('.');
    return path === '' ? (message ?? '') : `${path}: ${message}`;
  });
  return `The ${validationContext ?? 'request'} is not valid. ${faults.join('; ')}`;
}
