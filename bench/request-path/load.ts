import { connect, type Socket } from 'node:net';

// Generates load at little cost, so that the figures show the server and not the generator. It uses plain sockets,
// sends prepared requests, and reads only the length of each response. It prints one line of JSON.

/** The requests to send, and for how long. */
export interface Load {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly clients: number;
  readonly seconds: number;
  /** The number of values that `{n}` in a header's value takes. The values are random unless `inOrder`. */
  readonly users?: number;
  /** Whether the values come in order instead of at random. */
  readonly inOrder?: boolean;
}

/** Requests per second, and latencies in milliseconds. */
export interface Measured {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
}

const load = JSON.parse(process.argv[2] ?? '') as Load;
process.stdout.write(JSON.stringify(await run(load)));

async function run({ url, headers, clients, seconds, users = 1, inOrder = false }: Load): Promise<Measured> {
  const { hostname, port, pathname, search, host } = new URL(url);
  const requests = Array.from({ length: users }, (_, user) => {
    const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value.replace('{n}', String(user))}\r\n`);
    return Buffer.from(`GET ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\n${fields.join('')}\r\n`);
  });
  let last = -1;
  const inTurn = () => requests[(last = (last + 1) % users)];
  const pick = users === 1 || inOrder ? inTurn : () => requests[Math.floor(Math.random() * users)];
  const taken: number[] = [];
  const started = performance.now();
  const end = started + seconds * 1000;
  await Promise.all(
    Array.from(
      { length: clients },
      () =>
        new Promise<void>((resolve, reject) => {
          const socket = connect({ host: hostname, port: Number(port), noDelay: true }, () => client(socket));
          socket.once('error', reject).once('close', () => resolve());
        }),
    ),
  );
  const sorted = taken.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor(sorted.length * part)] ?? Number.NaN;
  return { rate: taken.length / seconds, p50: at(0.5), p99: at(0.99) };

  function client(socket: Socket): void {
    let sent = 0;
    let missing = 0;
    const next = () => {
      sent = performance.now();
      if (sent >= end) socket.destroy();
      else socket.write(pick() ?? '');
    };
    socket.on('data', (chunk) => {
      missing = missing === 0 ? lengthOf(chunk) - chunk.length : missing - chunk.length;
      if (missing > 0) return;
      missing = 0;
      taken.push(performance.now() - sent);
      next();
    });
    next();
  }
}

/** The length of a response, head and body, in bytes. The first chunk must contain the whole head. */
function lengthOf(chunk: Buffer): number {
  const text = chunk.toString('latin1', 0, Math.min(chunk.length, 2_000));
  const headEnd = text.indexOf('\r\n\r\n');
  const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1];
  if (!text.startsWith('HTTP/1.1 200') || headEnd === -1 || length === undefined)
    throw new Error(`An unexpected response: ${text}`);
  return headEnd + 4 + Number(length);
}
