import assert from 'node:assert/strict';
import type { lookup } from 'node:dns';
import { test } from 'node:test';
import ipaddr from 'ipaddr.js';
import { NangoError } from '../errors/nango-error.ts';
import { createGuardedConnector, createGuardedLookup, isRefusedAddress } from './network-guard.ts';
import { SPECIAL_NETWORKS } from './special-addresses.ts';

/** The address at an offset in a network, its `last` one, or one just outside it. */
function bounds(cidr: string) {
  const [network, prefix] = ipaddr.parseCIDR(cidr);
  const bits = network.kind() === 'ipv4' ? 32n : 128n;
  const size = 1n << (bits - BigInt(prefix));
  const first = network.toByteArray().reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  const at = (value: bigint) => {
    const bytes = Array.from({ length: Number(bits / 8n) }, (_, index) =>
      Number((value >> (bits - 8n * BigInt(index + 1))) & 0xffn),
    );
    return ipaddr.fromByteArray(bytes).toString();
  };
  return {
    inside: [first, first + size / 2n, first + size - 1n].map(at),
    outside: [first - 1n, first + size].filter((value) => value >= 0n && value < 1n << bits).map(at),
  };
}

const isSpecial = (address: string, without: string) => {
  const parsed = ipaddr.parse(address);
  return SPECIAL_NETWORKS.some(([other]) => {
    const [network, prefix] = ipaddr.parseCIDR(other);
    return other !== without && network.kind() === parsed.kind() && parsed.match(network, prefix);
  });
};

for (const [network, name] of SPECIAL_NETWORKS) {
  test(`P3: the first, last and middle address of ${network} (${name}) are refused, its neighbours are not`, () => {
    const { inside, outside } = bounds(network);
    for (const address of inside) assert.equal(isRefusedAddress(address, []), true, address);
    for (const address of outside) assert.equal(isRefusedAddress(address, []), isSpecial(address, network), address);
  });
}

// A list apart from the guard's own one: IANA's special-purpose registries outside global unicast, and RFC 3879.
for (const network of [
  '::/128',
  '::1/128',
  '::/96',
  '100::/64',
  '100:0:0:1::/64',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
]) {
  test(`P3: ${network} is refused`, () => {
    for (const address of bounds(network).inside) assert.equal(isRefusedAddress(address, []), true, address);
  });
}

test('P3: of IPv6, only global unicast can be reached', () => {
  for (const network of ['::/3', '4000::/2', '8000::/1', 'fec0::/10', 'ff00::/8', '64:ff9b:1:1::/64'])
    for (const address of bounds(network).inside) assert.equal(isRefusedAddress(address, []), true, address);
  for (const address of ['2000::1', '2606:4700::1111', '3ffe:ffff:ffff::1'])
    assert.equal(isRefusedAddress(address, []), false, address);
});

/** Every way in which an IPv6 address leads to an IPv4 one. */
const EMBEDDINGS: Record<string, (ipv4: readonly number[]) => string> = {
  mapped: (bytes) => `::ffff:${bytes.join('.')}`,
  'mapped, in hexadecimal': (bytes) => `::ffff:${groups(bytes)}`,
  NAT64: (bytes) => `64:ff9b::${groups(bytes)}`,
  'NAT64 of the network': (bytes) => `64:ff9b:1::${groups(bytes)}`,
  '6to4': (bytes) => `2002:${groups(bytes)}::1`,
  'a Teredo server': (bytes) => `2001:0:${groups(bytes)}::f7f7:f7f7`,
  'a Teredo client': (bytes) => `2001:0:808:808::${groups(bytes.map((byte) => byte ^ 0xff))}`,
};

function groups([a = 0, b = 0, c = 0, d = 0]: readonly number[]): string {
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

for (const [name, embed] of Object.entries(EMBEDDINGS)) {
  test(`P3: the IPv4 address in an IPv6 address is checked: ${name}`, () => {
    for (const [network] of SPECIAL_NETWORKS.filter(([cidr]) => !cidr.includes(':')))
      for (const inner of bounds(network).inside) {
        const address = embed(ipaddr.parse(inner).toByteArray());
        assert.equal(isRefusedAddress(address, []), true, `${address} (${inner})`);
      }
    for (const inner of [
      [1, 1, 1, 1],
      [172, 15, 255, 255],
      [172, 32, 0, 1],
      [192, 167, 1, 1],
    ])
      assert.equal(isRefusedAddress(embed(inner), []), false, inner.join('.'));
    assert.equal(isRefusedAddress(embed([10, 1, 2, 3]), ['10.1.0.0/16']), false);
    assert.equal(isRefusedAddress(embed([10, 2, 2, 3]), ['10.1.0.0/16']), true);
  });
}

for (const address of ['169.254.169.254', '168.63.129.16', '100.100.100.200', '192.0.0.192', 'fd00:ec2::254']) {
  test(`P3: ${address}, at which a cloud serves its machines, is refused`, () => {
    assert.equal(isRefusedAddress(address, []), true);
    assert.equal(isRefusedAddress(address, [`${address}/${address.includes(':') ? 128 : 32}`]), false);
  });
}

for (const address of ['0x7f.1', '2130706433', '0177.0.0.1', '127.1', 'fe80::1%eth0', '::1%lo', '', 'no address']) {
  test(`P3: "${address}" is refused, however it is written`, () => assert.equal(isRefusedAddress(address, []), true));
}

for (const host of [
  '127.0.0.1',
  '127.0.0.1.',
  '0x7f.1',
  '0x7f000001',
  '2130706433',
  '[::1]',
  '::1',
  '[fe80::1%eth0]',
]) {
  test(`P3: no connection is made to ${host}`, async () => {
    const connect = createGuardedConnector({}, () => []);
    const error = await new Promise((resolve) => {
      connect({ hostname: host, protocol: 'http:', port: '9' }, (...[refused]) => resolve(refused));
    });
    assert.ok(error instanceof NangoError);
    assert.equal(error.code, 'address_refused');
  });
}

test('P3: only the named networks are permitted', () => {
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
  const resolved = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  return ((_host: string, _options: object, callback: (error: null, found: typeof resolved) => void) =>
    callback(null, resolved)) as unknown as typeof lookup;
}

test('P3: a name is refused if any address is private; the connection goes to the checked address', () => {
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
