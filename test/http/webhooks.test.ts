import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { test, type TestContext } from 'node:test';
import { verifyWebhook, verifyWebhookAsync, type Nango } from '@nangohq/node-client';
import { Webhook } from 'standardwebhooks';
import { listen } from '../support/listen.ts';
import { startTestServer, type TestServerOptions } from '../support/nango-server.ts';

const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
const OLD_SECRET = `whsec_${randomBytes(24).toString('base64')}`;
const KEYED = `integrations:
  acme:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'https://api.example.com/' }
`;
const HOUR_MS = 3_600_000;

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly type: string;
  readonly userId: string;
}

/** A receiver whose responses a test chooses. The test can wait for deliveries. */
async function startReceiver(t: TestContext, status: (received: Received) => number | 'hang' = () => 200) {
  const receiver = { received: [] as Received[], status, url: '', waiting: [] as (() => void)[] };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const { type, data } = JSON.parse(body) as { type: string; data: { userId: string } };
      const received = { headers: request.headers, body, type: type.replace('connection.', ''), userId: data.userId };
      receiver.received.push(received);
      const answer = receiver.status(received);
      if (answer !== 'hang') response.writeHead(answer, { 'retry-after': '1' }).end();
      for (const wake of receiver.waiting.splice(0)) wake();
    });
  });
  receiver.url = `http://localhost:${await listen(t, server)}/hook`;
  const until = async (count: number) => {
    while (receiver.received.length < count) await new Promise<void>((resolve) => receiver.waiting.push(resolve));
    return receiver.received;
  };
  return Object.assign(receiver, { until });
}

function startServer(t: TestContext, webhooks: string, options: Partial<TestServerOptions> = {}) {
  return startTestServer(t, { integrations: KEYED, config: `webhooks:\n${webhooks}`, ...options });
}

test('a webhook is signed by Standard Webhooks: its own library and our SDK accept it unchanged', async (t) => {
  const receiver = await startReceiver(t);
  const { nango } = await startServer(t, `  app: { url: '${receiver.url}', secret: '${SECRET}' }`);
  await nango.registerConnection('acme', 'ä 1', { api_key: 'CANARY' });
  const [received] = await receiver.until(1);
  assert.ok(received);
  const { headers, body } = received;
  const names = { 'webhook-id': '', 'webhook-timestamp': '', 'webhook-signature': '' };
  for (const name of Object.keys(names) as (keyof typeof names)[]) names[name] = String(headers[name]);
  assert.deepEqual(new Webhook(SECRET).verify(body, names), JSON.parse(body));
  const event = verifyWebhook(body, headers, { secret: SECRET });
  assert.deepEqual(verifyWebhook(Buffer.from(body), new Headers(names), { secret: SECRET }), event);
  assert.deepEqual([event.type, event.data.integration, event.data.userId], ['connection.created', 'acme', 'ä 1']);
  assert.deepEqual((await nango.getEvents()).returnValue.events, [event]);
  assert.doesNotMatch(body, /CANARY/);
  const refused = { type: 'invalid_signature' };
  assert.throws(() => verifyWebhook(body.replace('ä', 'b'), headers, { secret: SECRET }), refused);
  assert.throws(() => verifyWebhook(body, { ...headers, 'webhook-id': 'evt_other' }, { secret: SECRET }), refused);
  assert.throws(() => verifyWebhook(body, headers, { secret: OLD_SECRET }), refused);
  assert.throws(() => verifyWebhook(body, {}, { secret: SECRET }), refused);
  assert.throws(() => verifyWebhook(body, headers, { secret: SECRET, now: () => Date.now() + 301_000 }), refused);
});

test('a webhook secret without a key is rejected, and not read as an empty key', async () => {
  const [id, timestamp, body] = ['evt_1', String(Math.floor(Date.now() / 1000)), '{}'];
  const signature = createHmac('sha256', '').update(`${id}.${timestamp}.${body}`).digest('base64');
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
  for (const secret of ['whsec_!!!!', 'whsec_====', 'whsec_undefined', `whsec_${btoa('short')}`, 'undefined', '']) {
    assert.throws(() => verifyWebhook(body, headers, { secret }), { type: 'invalid_input' }, secret);
    await assert.rejects(verifyWebhookAsync(body, headers, { secret }), { type: 'invalid_input' }, secret);
  }
});

test('while its secret is replaced, a webhook is signed with both secrets', async (t) => {
  const receiver = await startReceiver(t);
  const { nango } = await startServer(t, `  app: { url: '${receiver.url}', secret: ['${SECRET}', '${OLD_SECRET}'] }`);
  await nango.registerConnection('acme', '1', { api_key: 'k' });
  const [received] = await receiver.until(1);
  for (const secret of [SECRET, OLD_SECRET]) verifyWebhook(received?.body ?? '', received?.headers ?? {}, { secret });
});

test('each webhook gets only its configured event types', async (t) => {
  const [all, some] = [await startReceiver(t), await startReceiver(t)];
  const { nango } = await startServer(
    t,
    `  all: { url: '${all.url}', secret: '${SECRET}' }
  some: { url: '${some.url}', secret: '${SECRET}', events: [connection.deleted] }`,
  );
  await nango.registerConnection('acme', '1', { api_key: 'k' });
  await nango.updateConnectionCredentials('acme', '1', { api_key: 'k2' });
  await nango.deleteConnection('acme', '1');
  await Promise.all([all.until(3), some.until(1)]);
  assert.deepEqual(
    all.received.map(({ type }) => type),
    ['created', 'reconnected', 'deleted'],
  );
  assert.deepEqual(
    some.received.map(({ type }) => type),
    ['deleted'],
  );
});

test('a failed event is delivered again before later ones, and other connections do not wait', async (t) => {
  let failures = 0;
  const receiver = await startReceiver(t, ({ userId, type }) =>
    userId === 'slow' && type === 'created' && (failures += 1) <= 2 ? 500 : 200,
  );
  const clock = { now: Date.now() };
  const { nango } = await startServer(t, `  app: { url: '${receiver.url}', secret: '${SECRET}' }`, {
    now: () => clock.now,
  });
  await nango.registerConnection('acme', 'slow', { api_key: 'k' });
  await nango.updateConnectionCredentials('acme', 'slow', { api_key: 'k2' });
  await receiver.until(1);
  await nango.registerConnection('acme', 'quick', { api_key: 'k' });
  await receiver.until(2);
  assert.equal(receiver.received[1]?.userId, 'quick');
  await eventually(async () => {
    clock.now += HOUR_MS;
    await poke(nango);
    return receiver.received.length;
  }, 5);
  const slow = receiver.received.filter(({ userId }) => userId === 'slow');
  assert.deepEqual(
    slow.map(({ type }) => type),
    ['created', 'created', 'created', 'reconnected'],
  );
  assert.equal(new Set(slow.slice(0, 3).map(({ headers }) => headers['webhook-id'])).size, 1);
  assert.equal(new Set(slow.map(({ headers }) => headers['webhook-id'])).size, 2);
});

test('after three days, or with 410, an event is dead, listed, and can be replayed', async (t) => {
  const receiver = await startReceiver(t, ({ userId }) => (userId === 'gone' ? 410 : 503));
  const clock = { now: Date.now() };
  const server = await startServer(t, `  app: { url: '${receiver.url}', secret: '${SECRET}' }`, {
    now: () => clock.now,
  });
  const { nango } = server;
  await nango.registerConnection('acme', 'gone', { api_key: 'k' });
  await receiver.until(1);
  await nango.registerConnection('acme', 'down', { api_key: 'k' });
  await receiver.until(2);
  const start = clock.now;
  await eventually(async () => {
    clock.now += 6 * HOUR_MS;
    await poke(nango);
    return (await nango.getDeadDeliveries()).returnValue.length;
  }, 2);
  const ages = receiver.received
    .filter(({ userId }) => userId === 'down')
    .map(({ headers }) => Number(headers['webhook-timestamp']) * 1000 - start);
  // The clock advances during the attempt, so that its end counts and not its beginning.
  assert.ok(ages.length >= 2 && clock.now - start >= 72 * HOUR_MS, ages.join());
  const dead = (await nango.getDeadDeliveries()).returnValue;
  const before = receiver.received.length;
  assert.deepEqual(
    dead.map(({ webhook, error, event }) => [webhook, error, event.data.userId]),
    [
      ['app', 'The webhook responded with status 410.', 'gone'],
      ['app', 'The webhook responded with status 503.', 'down'],
    ],
  );
  receiver.status = () => 200;
  await assert.rejects(nango.replayDeliveries('apq'), { type: 'not_found', message: /Did you mean "app"/ });
  assert.equal((await nango.replayDeliveries('app', dead[1]?.event.id)).returnValue, 1);
  const received = await receiver.until(before + 1);
  assert.equal(received[before]?.headers['webhook-id'], dead[1]?.event.id);
  assert.equal((await nango.replayDeliveries('app')).returnValue, 1);
  await receiver.until(before + 2);
  assert.deepEqual((await nango.getDeadDeliveries()).returnValue, []);
  assert.match(server.log(), /event not delivered/);
  assert.doesNotMatch(server.log(), new RegExp(SECRET.slice(6, 20).replaceAll('+', '\\+')));
});

test('a receiver that hangs or is missing delays no other receiver', async (t) => {
  const [hanging, works] = [await startReceiver(t, () => 'hang'), await startReceiver(t)];
  const { nango } = await startServer(
    t,
    `  hanging: { url: '${hanging.url}', secret: '${SECRET}' }
  nowhere: { url: 'http://localhost:1/', secret: '${SECRET}' }
  works: { url: '${works.url}', secret: '${SECRET}' }`,
  );
  for (const userId of ['1', '2', '3']) {
    await nango.registerConnection('acme', userId, { api_key: 'k' });
    await works.until(Number(userId));
  }
  await hanging.until(1);
});

test('events are listed in order, page by page, and a cursor stays valid for later events', async (t) => {
  const server = await startServer(t, '  {}');
  const { nango } = server;
  const empty = (await nango.getEvents()).returnValue;
  assert.deepEqual([empty.events, empty.hasMore], [[], false]);
  for (const userId of ['1', '2', '3']) await nango.registerConnection('acme', userId, { api_key: 'k' });
  const first = (await nango.getEvents({ cursor: empty.nextCursor, limit: 2 })).returnValue;
  assert.deepEqual([first.events.map(({ data }) => data.userId), first.hasMore], [['1', '2'], true]);
  const second = (await nango.getEvents({ cursor: first.nextCursor })).returnValue;
  assert.deepEqual([second.events.map(({ data }) => data.userId), second.hasMore], [['3'], false]);
  await nango.deleteConnection('acme', '1');
  const later = (await nango.getEvents({ cursor: second.nextCursor })).returnValue;
  assert.deepEqual(
    later.events.map(({ type }) => type),
    ['connection.deleted'],
  );
  for (const cursor of ['x', 'WyJhIl0', 'Wy0xXQ', "' or 1=1"])
    assert.equal((await server.api('GET', `/api/events?cursor=${encodeURIComponent(cursor)}`)).status, 400);
});

/** Repeats a step that advances the clock until so many deliveries have arrived. */
async function eventually(step: () => Promise<number>, count: number): Promise<void> {
  while ((await step()) < count);
}

/** Makes the server check at once whether a delivery is due. */
async function poke(nango: Nango): Promise<void> {
  await nango.replayDeliveries('app', 'evt_none');
}
