import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginCall, reportOf } from './api-call.ts';

test('the report of a call that was redirected has the method of its caller', () => {
  const call = beginCall({ via: 'proxy', caller: 'main', requestId: 'id', method: 'POST' });
  const target = { origin: 'https://api.acme.com', path: '/b', query: '' };
  Object.assign(call, { redirect: { method: 'GET', target, keepsBody: false }, redirects: 1 });
  const { method, redirects, status } = reportOf(call, { status: 200, receivedBytes: 4 });
  assert.deepEqual({ method, redirects, status }, { method: 'POST', redirects: 1, status: 200 });
});

test('a call that ended before its connection was found is reported with the names that its caller sent', () => {
  const call = beginCall({ via: 'proxy', method: 'GET' });
  const names = () => {
    const { integration, userId, account, connection, error } = reportOf(call, { error: 'invalid_request' });
    return { integration, userId, account, connection, error };
  };
  const none = { account: undefined, connection: undefined, error: 'invalid_request' };
  assert.deepEqual(names(), { integration: '', userId: '', ...none });
  call.reference = { integration: 'acme', userId: 'u-1', account: 'work' };
  assert.deepEqual(names(), { ...none, integration: 'acme', userId: 'u-1', account: 'work' });
  call.reference = { integration: 'acme', connectionId: 'c-1' };
  assert.deepEqual(names(), { ...none, integration: 'acme', userId: '' });
});

test('the time to the first byte is known only if a response began', () => {
  const call = beginCall({ via: 'proxy', method: 'GET' });
  assert.equal(reportOf(call, { error: 'caller_gone' }).firstByteMs, undefined);
  assert.equal(reportOf(call, { status: 200, respondedAt: call.started + 12.4 }).firstByteMs, 12);
});
