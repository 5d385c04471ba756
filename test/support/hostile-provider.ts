import { createServer, type AddressInfo, type Socket } from 'node:net';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import type { Cleanup } from './temporary-folder.ts';

const KIBIBYTE = 1_024;

/** A request to the provider, and its user: `u1` of the code, refresh or access token `…-u1` in it. */
interface ProviderRequest {
  readonly user: string;
  readonly socket: Socket;
}

type Answer = (request: ProviderRequest) => unknown;

const tokens = (user: string, more = '') =>
  `{"access_token":"at-${user}","refresh_token":"rt-${user}","token_type":"bearer"${more}}`;

function send(socket: Socket, body: string | Buffer, { status = 200, head = '' } = {}): void {
  const bytes = Buffer.from(body);
  socket.write(
    `HTTP/1.1 ${status} X\r\nContent-Type: application/json\r\n${head}Content-Length: ${bytes.length}\r\n\r\n`,
  );
  socket.write(bytes);
}

const granted =
  (more: string): Answer =>
  ({ user, socket }) =>
    send(socket, tokens(user, more));
const coded =
  (coding: string, encode: (text: string) => Buffer): Answer =>
  ({ user, socket }) =>
    send(socket, encode(tokens(user)), { head: `Content-Encoding: ${coding}\r\n` });
const said =
  (status: number, body: string, head = ''): Answer =>
  ({ socket }) =>
    send(socket, body, { status, head });

/** Bodies that a careless reader reads to the end, as an error and as a success. */
const worst = (piece: string): Record<string, Answer> => {
  const name = Buffer.from(piece).toString('hex');
  const text = piece.repeat(Math.floor((60 * KIBIBYTE) / piece.length));
  return {
    [`worst-${name}-refused`]: said(400, text),
    [`worst-${name}-granted`]: said(200, text),
    [`worst-${name}-described`]: said(400, JSON.stringify({ error: 'e', error_description: text.slice(0, 30_000) })),
    [`worst-${name}-1-mebibyte`]: said(400, piece.repeat(Math.ceil((KIBIBYTE * KIBIBYTE) / piece.length))),
  };
};

/** Responses that grant the user’s own tokens in unusual ways. */
export const GRANTING: Readonly<Record<string, Answer>> = {
  plain: granted(''),
  'huge-life': granted(',"expires_in":9000000000000000'),
  'huge-life-as-text': granted(',"expires_in":"1e400"'),
  'negative-life': granted(',"expires_in":-1'),
  'life-without-end': granted(',"expires_in":1e999'),
  'no-error': granted(',"error":0'),
  'large-number': granted(',"id":17841405793187219'),
  'surplus-now': ({ user, socket }) => {
    send(socket, tokens(user));
    send(socket, tokens('forged'));
  },
  'surplus-later': ({ user, socket }) => {
    send(socket, tokens(user));
    setTimeout(() => send(socket, tokens('forged')), 1);
  },
  gzip: coded('gzip', gzipSync),
  deflate: coded('deflate', deflateSync),
  'raw-deflate': coded('deflate', deflateRawSync),
  br: coded('br', brotliCompressSync),
  zstd: coded('zstd', zstdCompressSync),
  'gzip-br': coded('gzip, br', (text) => brotliCompressSync(gzipSync(text))),
};

/** Responses that grant nothing. */
export const REFUSING: Readonly<Record<string, Answer>> = {
  cut: ({ socket }) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"access_token":"at-'),
  reset: ({ socket }) => socket.destroy(),
  'no-http': ({ socket }) => socket.end('\0\u0001\u0002 nothing\r\n\r\n'),
  hang: () => undefined,
  drip: ({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n');
    const timer = setInterval(() => socket.write(' '), 20);
    socket.on('close', () => clearInterval(timer));
  },
  bomb: coded('gzip', () => gzipSync(Buffer.alloc(8 * KIBIBYTE * KIBIBYTE, 32))),
  'false-gzip': said(200, tokens('forged'), 'Content-Encoding: gzip\r\n'),
  'unknown-coding': said(200, tokens('forged'), 'Content-Encoding: x"y\r\n'),
  html: said(503, '<html><script>CANARY()</script><style>x{}</style><p>Down for maintenance</html>'),
  redirect: said(302, '', 'Location: /plain/token\r\n'),
  'control-characters': said(200, '{"access_token":"a\\r\\nX: y","token_type":"bearer"}'),
  'token-is-object': said(200, '{"access_token":{"rawJSON":"1"},"token_type":"bearer"}'),
  'token-is-number': said(200, '{"access_token":17841405793187219,"token_type":"bearer"}'),
  'a-prototype': said(200, '{"__proto__":{"access_token":"forged"},"token_type":"bearer"}'),
  deep: said(200, `${'['.repeat(30_000)}${']'.repeat(30_000)}`),
  'long-wait': said(503, '{}', 'Retry-After: 99999999999999999999\r\n'),
  'date-to-wait': said(503, '{}', 'Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n'),
  empty: said(200, ''),
  ...worst('<'),
  ...worst('{}'),
  ...worst('"\\\\"'),
  ...worst(';'),
  ...worst(' '),
  ...worst('['),
  ...worst('a=&'),
  ...worst('%'),
};
/** A provider of raw sockets. The path `/<name>` responds as {@link GRANTING} and {@link REFUSING} say. */
export async function startHostileProvider(cleanup: Cleanup) {
  const sockets = new Set<Socket>();
  const waiting = new Set<Socket>();
  let released = false;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    let pending = '';
    socket.on('data', (bytes) => {
      pending += bytes.toString('latin1');
      for (;;) {
        const end = pending.indexOf('\r\n\r\n');
        if (end === -1) return;
        const length = Number(/content-length: (\d+)/i.exec(pending.slice(0, end))?.[1] ?? 0);
        if (pending.length < end + 4 + length) return;
        const text = pending.slice(0, end + 4 + length);
        pending = pending.slice(text.length);
        const [, path = ''] = text.split(' ', 2);
        const name = path.split(/[/?]/).find((part) => part in GRANTING || part in REFUSING) ?? 'empty';
        const [, user = 'nobody'] = /\b(?:rt|at|code)-(u\d+)/.exec(text) ?? [];
        if (name === 'hang' || name === 'drip') waiting.add(socket);
        if (released && waiting.has(socket)) socket.destroy();
        else (GRANTING[name] ?? REFUSING[name])?.({ user, socket });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  cleanup.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    /** Ends the responses that hang or drip, now and later. */
    release() {
      released = true;
      for (const socket of waiting) socket.destroy();
    },
  };
}
