import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { integrationOf } from '../../../../test/support/integration.ts';
import type { OAuthHttpRequest } from '../oauth/oauth-http.ts';
import { Fields } from '../schema/fields.ts';
import type { AuthModeContext } from './auth-mode.ts';
import { stepsSchema } from './connect-step-fields.ts';
import { storedBySteps, takeSteps } from './connect-steps.ts';
import { oauth1 } from './oauth1.ts';
import type { OAuth2Credentials } from './oauth2/credentials.ts';
import { oauth2StepMode } from './oauth2/configured-requests.ts';
import { oauth2 } from './oauth2/oauth2.ts';
import { RESERVED_PLACEHOLDERS } from './registry.ts';
import {
  revealed,
  responseParameters,
  revealedRequest,
  secret,
  type RevealedRequest,
} from '../../../../test/support/secrets.ts';

const NOW = 1_800_000_000_000;
const ENDPOINTS = { authorization_url: 'https://acme.example/a', token_url: 'https://acme.example/t' };
const ASKED = { method: 'GET', url: 'https://acme.example/me', headers: { Authorization: 'Bearer ${access_token}' } };
const EXCHANGED = { method: 'GET', url: 'https://acme.example/exchange', params: { secret: '${oauth_client_secret}' } };

/** Takes steps at a provider with the given responses. Resolves to the result and the requests. */
async function take(steps: object[], answers: [status: number, body: unknown][], { tokensOnly = false } = {}) {
  const seen: RevealedRequest[] = [];
  const integration = integrationOf(oauth2, { ...ENDPOINTS, steps });
  const context = {
    now: () => NOW,
    http: async (request: OAuthHttpRequest) => {
      seen.push(revealedRequest(request));
      const [status, body] = answers.shift() ?? assert.fail('too many steps');
      return {
        status,
        contentType: 'application/json',
        body: secret(typeof body === 'string' ? body : JSON.stringify(body)),
      };
    },
  } as unknown as AuthModeContext;
  const credentials = {
    access_token: secret('at'),
    refresh_token: secret('rt'),
    expires_at: NOW,
    raw: secret({ first: 'kept' }),
  };
  const begun = { credentials, config: { before: 'b' }, identity: { name: 'before' } };
  const owner = { integration, config: { subdomain: 's' } };
  const done = await takeSteps<OAuth2Credentials>(owner, begun, {
    mode: oauth2StepMode(owner, context),
    context,
    tokensOnly,
  });
  return { ...done, seen };
}

test('a value that a step reads becomes config, numbers become text, and later steps may use it', async () => {
  const second = { request: { ...ASKED, url: 'https://${config.host}/${config.before}' }, store: { name: 'n' } };
  const { config, seen } = await take(
    [{ request: ASKED, store: { host: 'list.0.host', id: 'list.0.id' } }, second],
    [
      [200, { list: [{ host: 'eu.acme.example', id: 7 }] }],
      [200, { n: 'Acme' }],
    ],
  );
  assert.deepEqual(config, { before: 'b', host: 'eu.acme.example', id: '7', name: 'Acme' });
  assert.deepEqual(
    seen.map(({ url, headers }) => [url, headers['authorization']]),
    [
      ['https://acme.example/me', 'Bearer at'],
      ['https://eu.acme.example/b', 'Bearer at'],
    ],
  );
});

test('a token step replaces the token, keeps the refresh token, and is the only step of a refresh', async () => {
  const steps = [
    { request: EXCHANGED, token: true },
    { request: ASKED, store: { id: 'id' } },
  ];
  const exchange: [number, unknown] = [200, { access_token: 'long', expires_in: 100, second: 's' }];
  const { credentials, config, seen } = await take(steps, [exchange, [200, { id: 'i' }]]);
  assert.deepEqual(
    revealed([credentials.access_token, credentials.refresh_token, credentials.expires_at, config['id']]),
    ['long', 'rt', NOW + 100_000, 'i'],
  );
  assert.deepEqual(credentials.raw.reveal(), { first: 'kept', access_token: 'long', expires_in: 100, second: 's' });
  assert.equal(seen[1]?.headers['authorization'], 'Bearer long');
  const refreshed = await take(steps, [exchange], { tokensOnly: true });
  assert.deepEqual([refreshed.credentials.access_token.reveal(), refreshed.seen.length], ['long', 1]);
});

test('a step that fails ends connecting, unless it is optional; the response is not quoted', async () => {
  const step = { request: ASKED, store: { id: 'id' } };
  for (const answer of [
    [404, { id: 'x' }],
    [302, ''],
    [200, 'no JSON SECRET'],
    [200, { id: { deep: 'SECRET' } }],
    [200, { id: '' }],
    [200, { id: 'x'.repeat(3_000) }],
  ] as [number, unknown][]) {
    await assert.rejects(take([step], [[...answer]]), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'token_exchange_failed');
      assert.doesNotMatch(error.message, /SECRET/);
      return true;
    });
    const { config } = await take([{ ...step, optional: true }], [[...answer]]);
    assert.deepEqual(config, { before: 'b' });
  }
  await assert.rejects(take([{ request: EXCHANGED, token: true }], [[400, { error: 'invalid_request' }]]));
});

test('a response cannot lead a step to plain http, and prototypes have no members', async () => {
  const step = { request: { ...ASKED, url: '${raw.where}/me' }, store: { id: 'id' } };
  const integration = integrationOf(oauth2, { ...ENDPOINTS, steps: [step] });
  const credentials = { access_token: secret('at'), raw: secret({ where: 'http://acme.example' }) };
  const http = async () => assert.fail('sent');
  const context = { now: () => NOW, http } as unknown as AuthModeContext;
  const owner = { integration, config: {} };
  const mode = oauth2StepMode(owner, context);
  await assert.rejects(
    takeSteps<OAuth2Credentials>(owner, { credentials, config: {}, identity: {} }, { mode, context }),
    {
      code: 'invalid_value',
    },
  );
  await assert.rejects(take([{ request: ASKED, store: { id: 'constructor.name' } }], [[200, {}]]));
});

test('a step that stores nothing is a fault, and so is one step too many', () => {
  const schema = stepsSchema(new Fields(() => undefined, RESERVED_PLACEHOLDERS), ['access_token']);
  const step = { request: ASKED, store: { id: 'id' } };
  assert.equal(schema.safeParse([{ request: ASKED }]).success, false);
  assert.equal(schema.safeParse(Array.from({ length: 6 }, () => step)).success, false);
  assert.equal(schema.safeParse([{ ...step, store: { 'not a name': 'id' } }]).success, false);
  assert.ok(z.array(z.unknown()).parse(schema.parse([step])).length === 1);
  assert.deepEqual(storedBySteps(integrationOf(oauth2, { ...ENDPOINTS, steps: [step] }).auth), ['id']);
});

test('OAuth 1.0a: steps are signed with the token, and config of the token response is kept', async () => {
  const auth = {
    request_url: 'https://acme.example/request',
    authorization_url: 'https://acme.example/a',
    token_url: 'https://acme.example/t',
    signature_method: 'HMAC-SHA1',
    config_from_token_response: { account_name: 'screen_name' },
    steps: [{ request: { method: 'GET', url: 'https://api.acme.example/me' }, store: { account_id: 'id' } }],
  };
  const integration = integrationOf(oauth1, auth);
  const asked: RevealedRequest[] = [];
  const context = {
    now: () => NOW,
    randomToken: () => 'nonce',
    http: async (request: OAuthHttpRequest) => {
      asked.push(revealedRequest(request));
      const isToken = request.url === auth.token_url;
      const body = isToken ? 'oauth_token=t2&oauth_token_secret=s2&screen_name=ada' : '{"id":7}';
      return { status: 200, contentType: 'text/plain', body: secret(body) };
    },
  } as unknown as AuthModeContext;
  const done = await oauth1.authorization?.complete(
    {
      integration,
      config: {},
      callback: responseParameters([
        ['oauth_token', 't1'],
        ['oauth_verifier', 'v'],
      ]),
      secrets: { oauth_token: secret('t1'), oauth_token_secret: secret('s1') },
      redirectUri: 'https://nango.example/oauth/callback',
    },
    context,
  );
  assert.deepEqual(done?.config, { account_name: 'ada', account_id: '7' });
  assert.deepEqual(oauth1.authorization?.suppliedConfig(integration), ['account_name', 'account_id']);
  const signed = asked[1]?.headers['authorization'] ?? '';
  assert.match(signed, /^OAuth .*oauth_token="t2"/);
  assert.match(signed, /oauth_signature="[\w%]+"/);
  // No token can be exchanged for another.
  assert.throws(() => integrationOf(oauth1, { ...auth, steps: [{ ...auth.steps[0], token: true }] }));
});
