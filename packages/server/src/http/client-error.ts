import { ServerResponse, STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { NangoError } from '../errors/nango-error.ts';
import { errorResponse } from './error-mapper.ts';
import { requestIdOf } from './request-id.ts';

const STATUSES: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };
const MESSAGES: Readonly<Record<number, string>> = {
  400: 'The request is not valid HTTP.',
  408: 'The request took too long to arrive.',
  431: 'The request line and headers are too large.',
};

/** Responds to invalid HTTP, which has no route, and closes the connection. */
export function respondToClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  // During a response, these bytes would become a part of it. The client notices that the response is truncated.
  if (isResponding(socket)) return void socket.destroy();
  const status = STATUSES[error.code ?? ''] ?? 400;
  const { headers, body } = errorResponse(new NangoError('invalid_request', MESSAGES[status] ?? ''), requestIdOf({}));
  const text = JSON.stringify(body);
  const fields = {
    ...headers,
    ...contentOf(text),
    connection: 'close',
  };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  if (socket.writable) socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${head.join('')}\r\n${text}`);
  socket.destroySoon();
}

/** Responds to a request whose `Expect` is not `100-continue` (RFC 9110 §10.1.1). */
export function rejectExpectation(request: IncomingMessage, response: ServerResponse): void {
  const error = new NangoError('invalid_request', 'The header Expect may only be "100-continue".');
  const { headers, body } = errorResponse(error, requestIdOf(request.headers));
  const text = JSON.stringify(body);
  response.writeHead(417, { ...headers, ...contentOf(text) }).end(text);
}

function contentOf(text: string) {
  return { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text) };
}

/** Whether a response on this socket has begun and not ended. Node's own handler tests it in the same way. */
function isResponding(socket: Socket): boolean {
  return '_httpMessage' in socket && socket._httpMessage instanceof ServerResponse && socket._httpMessage.headersSent;
}
