import assert from 'node:assert/strict';
import { createServer, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import type { Dispatcher } from 'undici';
import { CallerGoneError } from '../../calls/call-errors.ts';
import { HeldResponse } from './held-response.ts';
import { Exchange } from './proxy-exchange.ts';

function controllerThat(abort: (reason: Error) => void): Dispatcher.DispatchController {
  const nothing = () => undefined;
  const state = { aborted: false, paused: false, reason: null, rawHeaders: null, rawTrailers: null };
  return { ...state, abort, pause: nothing, resume: nothing };
}

test('P8: a request whose caller disconnected while the connection was made is not sent', async (t) => {
  const { promise, resolve } = Promise.withResolvers<ServerResponse>();
  const server = createServer((_request, response) => resolve(response)).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const caller = request({ port: (server.address() as AddressInfo).port }).on('error', () => undefined);
  caller.end();
  const response = await promise;
  const exchange = new Exchange({
    lackedScopes: () => undefined,
    response,
    isReplaced: () => false,
    endsAt: undefined,
    callerIdleMs: 60_000,
    requestId: 'id',
  });
  caller.destroy();
  await assert.rejects(exchange.settled, CallerGoneError);
  const aborted: Error[] = [];
  exchange.onRequestStart(controllerThat((reason) => aborted.push(reason)));
  assert.ok(aborted[0] instanceof CallerGoneError);
});

test('P11: the rest of a replaced response is awaited for a bounded time', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let aborts = 0;
  const hold = () => new HeldResponse(controllerThat(() => (aborts += 1)));
  const ended = hold();
  ended.discard();
  ended.end({});
  t.mock.timers.tick(10_000);
  assert.equal(aborts, 0);
  hold().discard();
  t.mock.timers.tick(5_000);
  assert.equal(aborts, 1);
});
