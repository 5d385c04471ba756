import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { createClientAddress } from './client-address.ts';

const request = (remoteAddress: string, forwarded?: string) =>
  ({
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  }) as unknown as IncomingMessage;

test('A3: without trusted proxies the client is the peer, whatever its headers say', () => {
  const addressOf = createClientAddress(() => []);
  assert.equal(addressOf(request('10.0.0.9', '203.0.113.1')), '10.0.0.9');
});

test('A3: a trusted proxy reports the client’s address; the client cannot choose it', () => {
  const networks = ['10.0.0.0/8', '2001:db8::/32'];
  const addressOf = createClientAddress(() => networks);
  assert.equal(addressOf(request('10.0.0.9', '203.0.113.1')), '203.0.113.1');
  // The client wrote the first address. The proxy wrote the second one.
  assert.equal(addressOf(request('10.0.0.9', '198.51.100.7, 203.0.113.1')), '203.0.113.1');
  assert.equal(addressOf(request('10.0.0.9', '203.0.113.1, 10.0.0.8')), '203.0.113.1');
  assert.equal(addressOf(request('2001:db8::1', '203.0.113.1')), '203.0.113.1');
  assert.equal(addressOf(request('192.0.2.5', '203.0.113.1')), '192.0.2.5');
  assert.equal(addressOf(request('10.0.0.9')), '10.0.0.9');
  assert.ok(addressOf(request('10.0.0.9', 'x'.repeat(10_000))).length <= 64);
});
