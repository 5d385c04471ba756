import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { Fields, type PlaceholderScope } from '../schema/fields.ts';
import type { Template } from '../schema/template.ts';
import type { BaseAuth } from './auth-mode.ts';
import { AUTH_MODES, RESERVED_PLACEHOLDERS } from './registry.ts';

/** Records the URLs that schemas read, and how many they can read. */
class WatchedFields extends Fields {
  readonly read = new Set<Template>();
  known = 0;

  override url(scope: PlaceholderScope) {
    this.known += 1;
    return super.url(scope).refine((url) => this.read.add(url) !== undefined);
  }
}

const URL_TEXT = 'https://acme.example/x';
const REQUEST = { url: URL_TEXT };
const STEPS = [{ request: REQUEST, store: { account: 'id' } }];

/** `auth` with every URL that a mode knows. */
const AUTH: Readonly<Record<string, Record<string, unknown>>> = {
  OAUTH2: {
    authorization_url: URL_TEXT,
    token_url: URL_TEXT,
    refresh_url: URL_TEXT,
    revocation_url: URL_TEXT,
    device_authorization_url: URL_TEXT,
    issuer: URL_TEXT,
    resource: URL_TEXT,
    refresh_request: REQUEST,
    revocation_request: REQUEST,
    steps: STEPS,
  },
  OAUTH1: {
    request_url: URL_TEXT,
    authorization_url: URL_TEXT,
    token_url: URL_TEXT,
    signature_method: 'HMAC-SHA1',
    steps: STEPS,
  },
  API_KEY: { token_request: REQUEST },
  USERNAME_PASSWORD: { token_request: REQUEST },
  JWT: { jwt: { key: 'k' } },
  AWS_SIGV4: { service: 's3', region: 'eu-west-1' },
};

test('every auth mode declares each of its URLs as an endpoint, under the key that names it', () => {
  for (const mode of AUTH_MODES.values()) {
    const fields = new WatchedFields(() => undefined, RESERVED_PLACEHOLDERS);
    const schema = z.strictObject(mode.authShape(fields));
    const auth = { auth_mode: mode.name, ...schema.parse(AUTH[mode.name]) };
    assert.equal(fields.read.size, fields.known, `${mode.name}: the test gives every URL`);
    const declared = mode.endpoints(auth);
    for (const url of fields.read)
      assert.ok(
        declared.some((endpoint) => endpoint.url === url),
        mode.name,
      );
    for (const { key, url } of declared) assert.equal(valueAt(auth, key), url, `${mode.name}: ${key.join('.')}`);
  }
});

function valueAt(auth: BaseAuth, key: readonly string[]): unknown {
  return key.reduce<unknown>((value, name) => (Object(value) as Record<string, unknown>)[name], auth);
}

test('every auth mode parses stored credentials to secrets, except for names and declared times', () => {
  const plain = new Set(['username', 'access_key_id']);
  for (const { name, storedCredentials, times } of AUTH_MODES.values()) {
    assert.ok(storedCredentials instanceof z.ZodObject, name);
    const isTime = (member: string) => times.includes(member);
    for (const [member, schema] of Object.entries(storedCredentials.shape)) {
      const holdsText = schema.safeParse('text').success;
      const holdsNumber = schema.safeParse(1).success;
      assert.equal(holdsNumber, isTime(member), `${name}: ${member} is a time`);
      if (holdsText && !plain.has(member)) assert.equal(String(schema.parse('text')), '[secret]', `${name}: ${member}`);
    }
    assert.equal(String(storedCredentials.shape.raw.parse({ text: 'text' })), '[secret]', name);
  }
});
