import assert from 'node:assert/strict';
import { test } from 'node:test';
import { secret } from '../../../../test/support/secrets.ts';
import { buildAuthorizationUrl, type AuthorizationRequest } from './authorization-request.ts';

const request = {
  parametersIn: 'query' as const,
  authorizationUrl: 'https://as.example/authorize?tenant=1',
  client_id: 'client',
  redirect_uri: 'https://app.example/oauth/callback',
  state: secret('state-1'),
  scope: 'a b',
  codeChallenge: { code_challenge: 'ch', code_challenge_method: 'S256' },
  params: {},
  names: {},
};

const authorizationUrl = (changed: AuthorizationRequest) => buildAuthorizationUrl(changed).reveal();

test('builds the authorization request and keeps the query that was there', () => {
  const query = Object.fromEntries(new URL(authorizationUrl(request)).searchParams);
  assert.deepEqual(query, {
    tenant: '1',
    response_type: 'code',
    scope: 'a b',
    client_id: 'client',
    redirect_uri: 'https://app.example/oauth/callback',
    state: 'state-1',
    code_challenge: 'ch',
    code_challenge_method: 'S256',
  });
});

test('writes a space as %20 and omits an empty scope', () => {
  assert.match(authorizationUrl(request), /scope=a%20b/);
  assert.doesNotMatch(authorizationUrl({ ...request, scope: '' }), /scope/);
});

test('configured parameters take precedence over ours, unless they bind the flow', () => {
  const params = {
    response_type: 'x',
    scope: 'y',
    state: 'evil',
    redirect_uri: 'evil',
    client_id: 'evil',
    code_challenge: 'evil',
    code_challenge_method: 'evil',
    'q&a': '1=2',
  };
  const query = new URL(authorizationUrl({ ...request, params })).searchParams;
  assert.equal(query.get('response_type'), 'x');
  assert.equal(query.get('scope'), 'y');
  assert.equal(query.get('q&a'), '1=2');
  assert.ok(![...query.values()].includes('evil'));
  assert.equal(
    new URL(authorizationUrl({ ...request, params, codeChallenge: {} })).searchParams.get('code_challenge'),
    null,
  );
});

test('a provider’s own parameter names are used, and an empty one omits the parameter', () => {
  const names = { client_id: 'client_key', scope: 'user_scope', response_type: '' };
  const query = Object.fromEntries(new URL(authorizationUrl({ ...request, names })).searchParams);
  assert.deepEqual([query['client_key'], query['user_scope']], ['client', 'a b']);
  assert.ok(!('client_id' in query) && !('scope' in query) && !('response_type' in query));
});

test('parameters go behind a fragment if the authorization endpoint is a single-page application', () => {
  const url = authorizationUrl({
    ...request,
    authorizationUrl: 'https://as.example/app?x=1#/authorize?y=2',
    parametersIn: 'fragment',
    scope: 'a b',
  });
  const [address, fragment = ''] = url.split('#');
  assert.equal(address, 'https://as.example/app?x=1');
  assert.match(fragment, /^\/authorize\?y=2&response_type=code&scope=a%20b&/);
  assert.match(fragment, /&state=/);
});
