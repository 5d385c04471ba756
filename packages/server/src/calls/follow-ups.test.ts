import assert from 'node:assert/strict';
import { test } from 'node:test';
import { integrationOf, template } from '../../../../test/support/integration.ts';
import { AUTH_MODES } from '../auth-modes/registry.ts';
import { nextRequest, type ApiCall } from './follow-ups.ts';

const mode = AUTH_MODES.get('OAUTH2') ?? assert.fail();
const integration = integrationOf(
  mode,
  { token_url: 'https://acme.com/token', authorization_url: 'https://acme.com/a' },
  {
    requests: {
      rateLimit: undefined,
      redirectOrigins: ['https://files.acme.com'],
      pagination: undefined,
      baseUrl: template('https://api.acme.com/v1/'),
      headers: new Map([['Authorization', template('Bearer ${access_token}')]]),
      params: new Map([['key', template('${access_token}')]]),
    },
  },
);
const credentials = mode.storedCredentials.parse({ access_token: 'token-1', raw: {} });
const request = { endpoint: 'a', params: { b: '1' }, headers: { 'x-own': '1' }, body: 'text' };
const context = { now: () => 0, randomToken: () => 'nonce' };

const next = (call: Partial<ApiCall>) => {
  const connection = { integration, mode, credentials, config: {} } as ApiCall['connection'];
  const begun = { connection, method: 'POST', redirectedTo: undefined, keepsBody: true } as ApiCall;
  return nextRequest({ ...begun, ...call }, request, context);
};

test('a call begins with the caller’s own request', () => {
  assert.deepEqual(next({}), {
    method: 'POST',
    target: { origin: 'https://api.acme.com', path: '/v1/a', query: 'key=token-1&b=1' },
    apiOrigin: 'https://api.acme.com',
    headers: { authorization: 'Bearer token-1', 'x-own': '1' },
    body: 'text',
  });
});

test('a redirect within the API carries new credentials instead of those that the API repeats', () => {
  const redirectedTo = { origin: 'https://api.acme.com', path: '/b', query: 'key=old&c=2' };
  const { target, headers } = next({ redirectedTo });
  assert.deepEqual(target, { ...redirectedTo, query: 'c=2&key=token-1' });
  assert.equal(headers['authorization'], 'Bearer token-1');
});

test('a redirect to another origin carries no credentials, and no body if it became a GET', () => {
  const redirectedTo = { origin: 'https://files.acme.com', path: '/b', query: 'c=2' };
  assert.deepEqual(next({ redirectedTo, method: 'GET', keepsBody: false }), {
    method: 'GET',
    target: redirectedTo,
    apiOrigin: 'https://api.acme.com',
    headers: {},
    body: undefined,
  });
});
