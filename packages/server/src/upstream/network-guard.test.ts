import assert from 'node:assert/strict';
import type { lookup } from 'node:dns';
import { test } from 'node:test';
import { createGuardedLookup, isRefusedAddress } from './network-guard.ts';

for (const address of [
  '0.0.0.0',
  '10.1.2.3',
  '100.64.0.1',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '198.18.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::127.0.0.1',
  '::ffff:127.0.0.1',
  '::ffff:a9fe:a9fe',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'ff02::1',
]) {
  test(`P3: ${address} is refused`, () => assert.equal(isRefusedAddress(address, []), true));
}

for (const address of ['1.1.1.1', '172.15.255.255', '172.32.0.1', '192.167.1.1', '2606:4700::1111', '::ffff:1.1.1.1']) {
  test(`P3: ${address} is not`, () => assert.equal(isRefusedAddress(address, []), false));
}

test('P3: networks are permitted by name, and no others with them', () => {
  const allowed = ['10.1.0.0/16', 'fd00:1::/64'];
  assert.deepEqual(
    ['10.1.255.1', '10.2.0.1', 'fd00:1::5', 'fd00:2::5', '127.0.0.1'].map((address) =>
      isRefusedAddress(address, allowed),
    ),
    [false, true, false, true, true],
  );
});

/** A name that resolves to these addresses. */
function resolving(...addresses: string[]): typeof lookup {
  const answer = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  return ((_host: string, _options: object, callback: (error: null, found: typeof answer) => void) =>
    callback(null, answer)) as unknown as typeof lookup;
}

test('P3: a name is refused when any of its addresses is private, and what is checked is what is connected to', () => {
  const ask = (all: boolean, ...addresses: string[]) => {
    let result: unknown;
    createGuardedLookup(() => [], resolving(...addresses))('host.example', { all }, (error, found) => {
      result = error ? (error as { code?: string }).code : found;
    });
    return result;
  };
  assert.equal(ask(false, '1.1.1.1', '10.0.0.1'), 'address_refused');
  assert.equal(ask(true, '::1'), 'address_refused');
  assert.equal(ask(false, '1.1.1.1'), '1.1.1.1');
  assert.deepEqual(ask(true, '1.1.1.1', '8.8.8.8'), [
    { address: '1.1.1.1', family: 4 },
    { address: '8.8.8.8', family: 4 },
  ]);
});
