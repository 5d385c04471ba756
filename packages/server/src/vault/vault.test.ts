import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { test } from 'node:test';
import { Secret } from './secret.ts';
import { createVault, parseEncryptionKeys } from './vault.ts';

const place = { table: 'connections', row: '["slack","1"]', column: 'sealed_credentials' };
const vault = createVault(new Secret(randomBytes(32)));
const unreadable = { code: 'credentials_unreadable' };

test('opens a value that it sealed, and seals the same text differently each time', () => {
  const first = vault.seal(new Secret('täxt'), place);
  const second = vault.seal(new Secret('täxt'), place);
  assert.equal(vault.open(first, place).reveal(), 'täxt');
  assert.notDeepEqual(first, second);
  assert.ok(!Buffer.from(first).includes('täxt'));
});

test('S2: rejects a sealed value that was moved to another row, column or table', () => {
  const sealed = vault.seal(new Secret('text'), place);
  for (const otherPlace of [
    { ...place, row: '["slack","2"]' },
    { ...place, column: 'other' },
    { ...place, table: 'other' },
  ]) {
    assert.throws(() => vault.open(sealed, otherPlace), unreadable);
  }
});

test('S2: rejects a truncated value and every changed byte', () => {
  const sealed = vault.seal(new Secret('text'), place);
  for (let length = 0; length < sealed.length; length += 1)
    assert.throws(() => vault.open(sealed.subarray(0, length), place), unreadable);
  for (let byte = 0; byte < sealed.length; byte += 1) {
    const damaged = Uint8Array.from(sealed);
    damaged[byte] = (damaged[byte] ?? 0) ^ 1;
    assert.throws(() => vault.open(damaged, place), unreadable);
  }
});

test('S1: rejects a value that was sealed with another key, and says so', () => {
  assert.throws(
    () => createVault(new Secret(randomBytes(32))).open(vault.seal(new Secret('text'), place), place),
    /an encryption key that this server does not have/,
  );
});

test('S1: accepts keys as base64, base64url and hex, and rejects other text without repeating it', () => {
  const key = randomBytes(32);
  for (const encoding of ['base64', 'base64url', 'hex'] as const)
    assert.deepEqual(parsedKeys(`${key.toString(encoding)}\n`), [key]);
  for (const bad of [
    '',
    'short-CANARY',
    key.toString('hex').slice(2),
    `${key.toString('base64')}AAAA`,
    'ä'.repeat(32),
  ]) {
    assert.throws(
      () => parseEncryptionKeys(new Secret(bad), 'NANGO_ENCRYPTION_KEY'),
      (error: Error) =>
        /NANGO_ENCRYPTION_KEY must hold 32/.test(error.message) && !(bad !== '' && error.message.includes(bad)),
    );
  }
});

test('printing a secret does not reveal it', () => {
  const secret = new Secret('CANARY');
  assert.equal(secret.reveal(), 'CANARY');
  for (const printed of [
    String(secret),
    JSON.stringify({ secret }),
    inspect(secret, { showHidden: true, depth: 9 }),
    inspect({ a: [secret] }),
  ]) {
    assert.ok(!printed.includes('CANARY'), printed);
  }
});

test('S3: the first of several keys seals, and all keys open', () => {
  const [firstKey, secondKey] = [randomBytes(32), randomBytes(32)];
  const [first, second] = [new Secret(firstKey), new Secret(secondKey)];
  const before = createVault(first);
  const during = createVault(second, first);
  const old = before.seal(new Secret('old'), place);
  assert.equal(during.open(old, place).reveal(), 'old');
  assert.equal(
    createVault(second)
      .open(during.seal(new Secret('new'), place), place)
      .reveal(),
    'new',
  );
  assert.deepEqual(during.keyIds, [createVault(second).keyId, before.keyId]);
  const keys = parsedKeys(`${secondKey.toString('base64')},${firstKey.toString('hex')}`);
  assert.deepEqual(keys, [secondKey, firstKey]);
});

function parsedKeys(text: string): Uint8Array[] {
  return parseEncryptionKeys(new Secret(text), 'X').map((key) => key.reveal());
}
