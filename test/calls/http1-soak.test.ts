import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { HttpClient } from '../../packages/server/src/upstream/http-client.ts';
import { randomNumbers } from '../support/fuzz.ts';
import { listen } from '../support/listen.ts';

const REQUESTS = 1_500;
const AT_ONCE = 24;

/** The shape of one request, and how its response is split. */
interface Plan {
  readonly method: string;
  readonly size: number;
  readonly chunked: boolean;
  readonly closes: boolean;
  readonly pieces: number;
  readonly sent: number;
  readonly sentInChunks: boolean;
  readonly pauses: boolean;
}

function bytes(size: number, seed: number): Buffer {
  return Buffer.alloc(size, `${seed}-abcdefghij`);
}

function hash(data: Buffer): string {
  return createHash('sha1').update(data).digest('hex');
}

function answer(
  plan: Plan,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
  seed: number,
): void {
  const received: Buffer[] = [];
  request.on('data', (chunk: Buffer) => received.push(chunk));
  request.on('end', () => {
    const body = bytes(plan.size, seed);
    response.setHeader('x-received', hash(Buffer.concat(received)));
    if (plan.closes) response.setHeader('connection', 'close');
    if (!plan.chunked) response.setHeader('content-length', body.length);
    const step = Math.max(1, Math.ceil(body.length / plan.pieces));
    const write = (at: number): void => {
      if (at >= body.length) return void response.end();
      response.write(body.subarray(at, at + step), () => setImmediate(() => write(at + step)));
    };
    write(0);
  });
}

test('thousands of requests of every shape, many at once, get their own responses byte for byte', async (t) => {
  const random = randomNumbers(7);
  const below = (count: number) => Math.floor(random() * count);
  const plans = Array.from({ length: REQUESTS }, (): Plan => {
    const method = ['GET', 'POST', 'PUT', 'HEAD', 'DELETE'][below(5)] ?? 'GET';
    const sends = method === 'POST' || method === 'PUT';
    return {
      method,
      size: [0, 1, 200, 5_000, 70_000, 400_000][below(6)] ?? 0,
      chunked: below(2) === 0,
      closes: below(8) === 0,
      pieces: 1 + below(5),
      sent: sends ? ([0, 3, 20_000, 200_000][below(4)] ?? 0) : 0,
      sentInChunks: below(2) === 0,
      pauses: below(6) === 0,
    };
  });
  let connections = 0;
  const api = createServer((request, response) => {
    const seed = Number(request.url?.slice(1));
    answer(plans[seed] ?? assert.fail(), { request, response }, seed);
  });
  api.on('connection', () => (connections += 1));
  const origin = `http://localhost:${await listen(t, api)}`;
  const client = new HttpClient();
  t.after(() => client.close());

  const send = (seed: number) =>
    new Promise<void>((resolve, reject) => {
      const plan = plans[seed] ?? assert.fail();
      const sent = bytes(plan.sent, seed + 1);
      const streams = plan.sent > 20_000;
      const chunks: Buffer[] = [];
      let head: Record<string, string | string[] | undefined> = {};
      client.stream(
        {
          target: { origin, path: `/${seed}`, query: '' },
          owner: String(seed % 3),
          guarded: false,
          clientCertificate: undefined,
          method: plan.method,
          headers: {},
          body:
            plan.sent === 0
              ? undefined
              : streams
                ? Readable.from([sent.subarray(0, 100_000), sent.subarray(100_000)])
                : sent,
          contentLength: streams && !plan.sentInChunks ? String(plan.sent) : undefined,
          headersTimeout: 20_000,
          bodyTimeout: 20_000,
        },
        {
          onRequestStart() {},
          onResponseStart(controller, status, headers) {
            assert.equal(status, 200);
            head = headers;
            if (!plan.pauses) return;
            controller.pause();
            setImmediate(() => controller.resume());
          },
          onResponseData: (_controller, chunk) => void chunks.push(chunk),
          onResponseEnd() {
            try {
              const expected = plan.method === 'HEAD' ? Buffer.alloc(0) : bytes(plan.size, seed);
              assert.equal(hash(Buffer.concat(chunks)), hash(expected), `answer ${seed} ${JSON.stringify(plan)}`);
              assert.equal(head['x-received'], hash(sent), `request ${seed} ${JSON.stringify(plan)}`);
              resolve();
            } catch (error) {
              reject(error);
            }
          },
          onResponseError: (_controller, error) =>
            reject(new Error(`${seed} ${JSON.stringify(plan)}`, { cause: error })),
        },
      );
    });

  let next = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < REQUESTS) await send(next++);
    }),
  );
  // The same connection uses its sockets again.
  assert.ok(connections < REQUESTS / 2, `${connections} sockets`);
});
