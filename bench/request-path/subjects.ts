import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import replyFrom from '@fastify/reply-from';
import fastify from 'fastify';
import { Agent } from 'undici';

// The servers of the bench. Each runs in its own process: `node subjects.ts NAME PORT UPSTREAM`.
const [, , name, port, upstream = ''] = process.argv;
const CHUNK = Buffer.alloc(65_536, 'x');

const SUBJECTS: Record<string, () => void> = { api, bytes, bare, constant, replyFrom: fastifyReplyFrom };
SUBJECTS[name ?? '']?.();
process.once('SIGTERM', () => process.exit(0));

/** An API that sends 200 bytes for each GET, at little cost. */
function api(): void {
  const body = JSON.stringify({ text: 'x'.repeat(189) });
  const message = Buffer.from(
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  createServer({ noDelay: true }, (socket) => {
    let rest = '';
    socket.on('data', (chunk) => {
      const heads = (rest + chunk.toString('latin1')).split('\r\n\r\n');
      rest = heads.pop() ?? '';
      for (const _ of heads) socket.write(message);
    });
    socket.on('error', () => socket.destroy());
  }).listen(Number(port), '127.0.0.1');
}

/** An API that sends as many bytes as the path `/<n>` says, and accepts a body of any size. */
function bytes(): void {
  createHttpServer((request, response) => {
    if (request.method !== 'GET') {
      request.resume().on('end', () => response.writeHead(200, { 'content-length': 2 }).end('ok'));
      return;
    }
    let left = Number(/(\d+)$/.exec(request.url ?? '')?.[1]);
    response.writeHead(200, { 'content-length': left });
    const push = () => {
      while (left > 0) {
        left -= CHUNK.length;
        if (!response.write(left < 0 ? CHUNK.subarray(0, CHUNK.length + left) : CHUNK)) return;
      }
      response.end();
    };
    response.on('drain', push);
    push();
  }).listen(Number(port), '127.0.0.1');
}

/** The minimum for a proxy that authorizes requests: node:http, undici and one constant header. */
function bare(): void {
  const agent = new Agent({ connections: 256, headersTimeout: 0, bodyTimeout: 0 });
  createHttpServer((request, response) => {
    agent.dispatch(
      {
        origin: upstream,
        path: request.url ?? '/',
        method: request.method ?? 'GET',
        headers: bareHeaders(request),
        body: request.method === 'GET' ? null : request,
      },
      {
        onRequestStart() {},
        onResponseStart(_controller, status, headers) {
          response.writeHead(status, headers);
        },
        onResponseData(controller, chunk) {
          if (response.write(chunk)) return;
          controller.pause();
          response.once('drain', () => controller.resume());
        },
        onResponseEnd() {
          response.end();
        },
        onResponseError() {
          response.destroy();
        },
      },
    );
  }).listen(Number(port), '127.0.0.1');
}

function bareHeaders({ headers }: IncomingMessage): Record<string, string> {
  const passed: Record<string, string> = { authorization: 'Bearer constant' };
  for (const name in headers) {
    const value = headers[name];
    if (name !== 'host' && name !== 'connection' && name !== 'authorization' && typeof value === 'string')
      passed[name] = value;
  }
  return passed;
}

/** node:http with a check of the key and a constant response, as large as that with a connection. */
function constant(): void {
  const body = Buffer.from(JSON.stringify({ text: 'x'.repeat(400) }));
  createHttpServer((request, response) => {
    const isKey = request.headers.authorization === 'Bearer bench-secret-key-0123';
    if (!isKey) response.writeHead(401).end();
    else response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
  }).listen(Number(port), '127.0.0.1');
}

/** The popular library for such a proxy. */
function fastifyReplyFrom(): void {
  const app = fastify();
  void app.register(replyFrom, { base: upstream, undici: { connections: 256 } });
  app.all('/*', (request, reply) =>
    reply.from(request.url, {
      rewriteRequestHeaders: (_request, headers) => ({ ...headers, authorization: 'Bearer constant' }),
    }),
  );
  void app.listen({ port: Number(port), host: '127.0.0.1' });
}
