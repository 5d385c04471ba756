import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { oauth1AuthorizationHeader } from '../packages/server/src/oauth/oauth1/authorization-header.ts';
import type { SignatureMethod } from '../packages/server/src/oauth/oauth1/signature-method.ts';
import { Secret } from '../packages/server/src/vault/secret.ts';

// Compares the signing of one API request with the bare node:crypto call on a base string of the same length.
// The bar is twice the bare call plus 10 µs. The rounds alternate, and the medians are shown.
const ROUNDS = 15;
const EXTRA_MICROSECONDS = 10;
const REQUEST = { method: 'GET', url: 'https://api.example.com/1.1/statuses/user_timeline?screen_name=ada&count=20' };
const BASE_STRING = 'x'.repeat(420);
const KEY = 'client-secret&token-secret';
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

const cases: { method: SignatureMethod; count: number; bare: () => unknown }[] = [
  { method: 'HMAC-SHA1', count: 20_000, bare: () => createHmac('sha1', KEY).update(BASE_STRING).digest('base64') },
  { method: 'HMAC-SHA256', count: 20_000, bare: () => createHmac('sha256', KEY).update(BASE_STRING).digest('base64') },
  { method: 'RSA-SHA1', count: 200, bare: () => sign('sha1', Buffer.from(BASE_STRING), pem).toString('base64') },
];

for (const { method, count, bare } of cases) {
  const signer = {
    clientId: 'consumer-key',
    clientSecret: new Secret(method.startsWith('RSA') ? pem : 'client-secret'),
    signatureMethod: method,
    token: { oauth_token: new Secret('token-0123456789'), oauth_token_secret: new Secret('token-secret') },
  };
  const ours = () => oauth1AuthorizationHeader(REQUEST, signer, { timestamp: 137131200, nonce: 'nonce-0123456789' });
  const times: Record<'ours' | 'bare', number[]> = { ours: [], bare: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    times.bare.push(microseconds(bare, count));
    times.ours.push(microseconds(ours, count));
  }
  const [own, base] = [median(times.ours), median(times.bare)];
  const bar = 2 * base + EXTRA_MICROSECONDS;
  process.stdout.write(
    `${method.padEnd(12)} signed request ${own.toFixed(1).padStart(7)} µs` +
      `   bare node:crypto ${base.toFixed(1).padStart(7)} µs   ratio ${(own / base).toFixed(2)}` +
      `   bar ${bar.toFixed(1)} µs: ${own <= bar ? 'met' : 'MISSED'}\n`,
  );
  if (own > bar) process.exitCode = 1;
}

function microseconds(work: () => unknown, count: number): number {
  const started = performance.now();
  for (let index = 0; index < count; index += 1) work();
  return ((performance.now() - started) * 1000) / count;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
