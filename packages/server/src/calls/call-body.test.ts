import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { takeBody } from './call-body.ts';

/** A request whose body the test sends. */
function requestOf(headers: Record<string, string>) {
  const body = new PassThrough();
  return { body, request: Object.assign(body, { headers }) as unknown as IncomingMessage };
}

const taking = { signed: false, onBody: () => undefined, onBytes: () => undefined };

test('P8: waiting for a body ends with the time of the whole call', async () => {
  const { request } = requestOf({ 'content-length': '10' });
  const times = { endsAt: performance.now() + 20, callerIdleMs: 60_000 };
  await assert.rejects(takeBody(request, { ...taking, times }), { name: 'TimeoutError' });
});

test('a caller who stops sending a small body counts as gone', async () => {
  const { body, request } = requestOf({ 'content-length': '10' });
  body.write('half');
  const times = { endsAt: undefined, callerIdleMs: 20 };
  await assert.rejects(takeBody(request, { ...taking, times }), { name: 'CallerGoneError' });
});

test('a caller who stops sending a large body counts as gone; a caller who waits for the API does not', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { body, request } = requestOf({ 'content-length': '1000000' });
  const times = { endsAt: undefined, callerIdleMs: 20 };
  const { stream } = await takeBody(request, { ...taking, times });
  assert.equal(stream, request);
  // Nothing reads the body: the caller waits for the API.
  body.write('half');
  for (let time = 0; time < 200; time += 20) t.mock.timers.tick(20);
  assert.equal(body.destroyed, false);
  const gone = new Promise((_, reject) => body.once('error', reject));
  body.resume();
  await turn();
  t.mock.timers.tick(20);
  t.mock.timers.tick(20);
  await assert.rejects(gone, { name: 'CallerGoneError' });
});

test('a body that arrives in time is read; small and signed ones are in memory', async () => {
  const { body, request } = requestOf({ 'transfer-encoding': 'chunked' });
  body.write('a');
  setImmediate(() => body.end('b'));
  const times = { endsAt: performance.now() + 60_000, callerIdleMs: 60_000 };
  const { bytes } = await takeBody(request, { ...taking, signed: true, times });
  assert.equal(bytes?.toString(), 'ab');
});
