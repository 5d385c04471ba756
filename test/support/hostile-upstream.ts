import { createServer, type AddressInfo, type Socket } from 'node:net';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { setImmediate as turn } from 'node:timers/promises';
import type { Cleanup } from './temporary-folder.ts';

/** A request as its bytes arrived. */
export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** The `x-key` header, which identifies the user. */
  readonly key: string;
  /** The number of requests of this path, with this one. */
  readonly count: number;
  readonly socket: Socket;
}

const ok = (body: string, more = '') => `HTTP/1.1 200 OK\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;
const owned = ({ key }: RawRequest) => ok(`owner=${key}`);
const forged = ({ key }: RawRequest) => ok(`forged by ${key}`);
const later = (socket: Socket, bytes: string) => setTimeout(() => socket.write(bytes), 1);
const compressed = (coding: string, body: Buffer) => (request: RawRequest) => {
  request.socket.write(`HTTP/1.1 200 OK\r\nContent-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\n\r\n`);
  request.socket.write(body);
};

/** The hostile behaviours of an API, by path. Each writes its bytes to the socket unchanged. */
export const HOSTILE = {
  plain: (request) => request.socket.write(owned(request)),
  'surplus-now': (request) => request.socket.write(owned(request) + forged(request)),
  'surplus-later': (request) => {
    request.socket.write(owned(request));
    later(request.socket, forged(request));
  },
  /** A response to HEAD that has a body. */
  'body-later': (request) => {
    request.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${owned(request).length}\r\n\r\n`);
    later(request.socket, forged(request));
  },
  '204-now': (request) =>
    request.socket.write(`HTTP/1.1 204 No Content\r\nX-Owner: ${request.key}\r\n\r\n${forged(request)}`),
  '204-later': (request) => {
    request.socket.write(`HTTP/1.1 204 No Content\r\nX-Owner: ${request.key}\r\n\r\n`);
    later(request.socket, forged(request));
  },
  '304-now': (request) =>
    request.socket.write(`HTTP/1.1 304 Not Modified\r\nX-Owner: ${request.key}\r\n\r\n${forged(request)}`),
  '304-later': (request) => {
    request.socket.write(`HTTP/1.1 304 Not Modified\r\nX-Owner: ${request.key}\r\n\r\n`);
    later(request.socket, forged(request));
  },
  /** Three pages of a list, each with a forged page behind it. */
  pages: (request) => {
    const page = Number(request.query.get('page') ?? 0);
    const next = page < 2 ? `Link: <?page=${page + 1}>; rel="next"\r\n` : '';
    const json = `Content-Type: application/json\r\n`;
    request.socket.write(ok(JSON.stringify([`owner=${request.key}`]), json + next));
    later(request.socket, ok(JSON.stringify([`forged by ${request.key}`]), json));
  },
  'quota-then-close': ({ socket, count }) =>
    count === 1 ? socket.end('HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Length: 9\r\n\r\nslow down') : write(socket),
  'quota-http-1.0': ({ socket, count }) =>
    count === 1 ? socket.end('HTTP/1.0 429 X\r\nRetry-After: 1\r\n\r\nslow down') : write(socket),
  'quota-until-close': ({ socket, count }) =>
    count === 1 ? socket.end('HTTP/1.1 429 X\r\nRetry-After: 1\r\n\r\nslow down') : write(socket),
  'quota-cut': ({ socket, count }) =>
    count === 1 ? socket.end('HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Length: 99\r\n\r\nslow') : write(socket),
  'refused-then-close': ({ socket }) =>
    socket.end('HTTP/1.1 401 X\r\nContent-Length: 14\r\nX-Why: scope\r\n\r\nnot with these'),
  'quota-long': ({ socket }) => {
    socket.write('HTTP/1.1 429 X\r\nRetry-After: 1\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let count = 0; count < 64; count += 1) socket.write(`10000\r\n${'x'.repeat(65_536)}\r\n`);
    socket.end();
  },
  'trailer-with-length': ({ socket }) =>
    socket.write('HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Length: 2\r\n\r\nok'),
  'trailer-of-304': ({ socket }) => socket.write('HTTP/1.1 304 Not Modified\r\nTrailer: X-Sum\r\n\r\n'),
  trailers: ({ socket }) =>
    socket.write(
      'HTTP/1.1 200 OK\r\nTrailer: X-A, X-B\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n' +
        'X-A: 1\r\nX-B: 2\r\nX-B: 3\r\nSet-Cookie: evil=1\r\nNango-Error: forged\r\nStrict-Transport-Security: x\r\n' +
        'Access-Control-Allow-Origin: *\r\nConnection: x\r\nContent-Type: text/html\r\n\r\n',
    ),
  'reason-utf-8': ({ socket }) =>
    socket.write('HTTP/1.1 404 \u627e\u4e0d\u5230\r\nX-Name: \u627e\r\nContent-Length: 2\r\n\r\nok'),
  'reason-control': ({ socket }) => socket.write('HTTP/1.1 404 a\u0001b\r\nContent-Length: 2\r\n\r\nok'),
  'status-099': ({ socket }) => socket.write('HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\nok'),
  '204-with-length': ({ socket }) => socket.write('HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n'),
  /** A response that never ends, and that a retry should replace. */
  'quota-hang': ({ socket, count }) =>
    count === 1 ? socket.write('HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Length: 99\r\n\r\nslow') : write(socket),
  hang: () => undefined,
  cut: ({ socket }) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf'),
  'huge-head': ({ socket }) => socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1_048_576)}\r\n\r\n`),
  'many-headers': ({ socket }) =>
    socket.write(`HTTP/1.1 200 OK\r\n${'X: 1\r\n'.repeat(100_000)}Content-Length: 0\r\n\r\n`),
  'two-lengths': ({ socket }) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!'),
  'length-and-chunks': ({ socket }) =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'),
  'folded-header': ({ socket }) => socket.write('HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok'),
  'bare-line-feeds': ({ socket }) => socket.write('HTTP/1.1 200 OK\nContent-Length: 2\n\nok'),
  'bad-chunk': ({ socket }) =>
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n'),
  gzip: compressed('gzip', gzipSync('{"a":1}')),
  deflate: compressed('deflate', deflateSync('{"a":1}')),
  'raw-deflate': compressed('deflate', deflateRawSync('{"a":1}')),
  br: compressed('br', brotliCompressSync('{"a":1}')),
  'gzip-twice': compressed('gzip, gzip', gzipSync(gzipSync('{"a":1}'))),
} satisfies Record<string, (request: RawRequest) => unknown>;

export type Hostility = keyof typeof HOSTILE;

function write(socket: Socket): void {
  socket.write(ok('ok'));
}

/** An API of raw sockets: `/<hostility>` does what {@link HOSTILE} says. */
export async function startHostileUpstream(cleanup: Cleanup) {
  const counts = new Map<string, number>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    let pending = '';
    socket.on('data', (bytes) => {
      const heads = (pending + bytes.toString('latin1')).split('\r\n\r\n');
      pending = heads.pop() ?? '';
      for (const head of heads) {
        const [method = '', target = ''] = head.split(' ', 2);
        const url = new URL(target, 'http://upstream');
        const path = url.pathname.slice(1);
        const count = (counts.get(path) ?? 0) + 1;
        counts.set(path, count);
        const key = /x-key: (\S+)/i.exec(head)?.[1] ?? '';
        HOSTILE[path as Hostility]({ method, path, query: url.searchParams, key, count, socket });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  cleanup.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  /** Resolves when both sides have closed every connection that the API ended, or after a short wait. */
  const closed = async () => {
    const isEnding = () => [...sockets].some(({ writableEnded }) => writableEnded);
    // A response that is not read to its end keeps its connection open.
    for (let turns = 0; turns < 200 && isEnding(); turns += 1) await turn();
    await turn();
  };
  return { url: `http://localhost:${(server.address() as AddressInfo).port}`, counts, closed };
}
