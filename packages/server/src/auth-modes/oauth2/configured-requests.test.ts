import assert from 'node:assert/strict';
import { test } from 'node:test';
import { integrationOf } from '../../../../../test/support/integration.ts';
import type { OAuthHttpRequest } from '../../oauth/oauth-http.ts';
import type { AuthModeContext } from '../auth-mode.ts';
import type { OAuth2Credentials } from './credentials.ts';
import { oauth2 } from './oauth2.ts';
import {
  revealed,
  responseParameters,
  revealedRequest,
  secret,
  type RevealedRequest,
} from '../../../../../test/support/secrets.ts';

const NOW = 1_800_000_000_000;
const DAY = 86_400_000;
const URLS = { authorization_url: 'https://acme.example/a', token_url: 'https://acme.example/t' };
const HELD: OAuth2Credentials = {
  access_token: secret('at-SECRET'),
  expires_at: NOW + 60 * DAY,
  grant: { received_at: NOW, took_ms: 0 },
  raw: secret({ user_id: 7 }),
};
const ITSELF = {
  method: 'GET',
  url: 'https://acme.example/refresh',
  params: { grant_type: 'acme_renew', access_token: '${access_token}' },
};

/** A context whose provider sends the given responses, and records the requests. */
function provider(...answers: [status: number, body: unknown][]) {
  const asked: RevealedRequest[] = [];
  const context = {
    now: () => NOW,
    randomToken: () => 'random',
    http: async (request: OAuthHttpRequest) => {
      asked.push(revealedRequest(request));
      const [status, body] = answers.shift() ?? assert.fail('asked too often');
      return { status, contentType: 'application/json', body: secret(JSON.stringify(body)) };
    },
  } as unknown as AuthModeContext;
  return { context, asked };
}

function refresh(auth: object, credentials: OAuth2Credentials, context: AuthModeContext) {
  const integration = integrationOf(oauth2, { ...URLS, ...auth });
  return oauth2.refresh?.refresh({ integration, config: { region: 'eu' }, credentials }, context);
}

test('a token that refreshes itself is refreshable, and kept alive well before it expires', async () => {
  const integration = integrationOf(oauth2, { ...URLS, refresh_request: ITSELF });
  assert.equal(oauth2.refresh?.isRefreshable(HELD, integration), true);
  assert.equal(oauth2.refresh?.isRefreshable(HELD, integrationOf(oauth2, URLS)), false);
  assert.equal(oauth2.refresh?.keepAliveAt?.(HELD, integration), NOW + 48 * DAY);
  const { context, asked } = provider([200, { access_token: 'at-2', expires_in: 5_184_000 }]);
  const refreshed = await refresh({ refresh_request: ITSELF }, HELD, context);
  assert.deepEqual(revealed([refreshed?.access_token, refreshed?.expires_at]), ['at-2', NOW + 60 * DAY]);
  assert.equal(asked[0]?.url, 'https://acme.example/refresh?grant_type=acme_renew&access_token=at-SECRET');
});

test('the response to a configured refresh is the token: no step exchanges it again', async () => {
  const steps = [{ request: { method: 'GET', url: 'https://acme.example/exchange' }, token: true }];
  const { context, asked } = provider([200, { access_token: 'at-2' }]);
  assert.equal((await refresh({ refresh_request: ITSELF, steps }, HELD, context))?.access_token.reveal(), 'at-2');
  assert.equal(asked.length, 1);
});

test('a refresh that presents the refresh token needs one, and keeps it if the response has none', async () => {
  const request = {
    url: 'https://${config.region}.acme.example/refresh',
    headers: { 'X-Client': '${oauth_client_id}' },
    body: { client: { secret: '${oauth_client_secret}' }, refresh_token: '${refresh_token}' },
  };
  const integration = integrationOf(oauth2, { ...URLS, refresh_request: request });
  assert.equal(oauth2.refresh?.isRefreshable(HELD, integration), false);
  const held = { ...HELD, refresh_token: secret('rt') };
  assert.equal(oauth2.refresh?.isRefreshable(held, integration), true);
  const { context, asked } = provider([200, { access_token: 'at-2' }]);
  assert.equal((await refresh({ refresh_request: request }, held, context))?.refresh_token?.reveal(), 'rt');
  assert.equal(asked[0]?.url, 'https://eu.acme.example/refresh');
  assert.equal(asked[0].headers['x-client'], 'client-1');
  assert.deepEqual(JSON.parse(String(asked[0].body)), { client: { secret: 'secret-1' }, refresh_token: 'rt' });
});

test('only the provider’s configured codes count as invalid_grant; no secret is quoted', async () => {
  const refused = async (auth: object, body: unknown) => {
    const { context } = provider([400, body]);
    return refresh({ refresh_request: ITSELF, ...auth }, HELD, context)?.then(
      () => assert.fail('renewed'),
      (error: Error & { error?: string }) => error,
    );
  };
  const coded = { invalid_grant_errors: ['190'], token_response_paths: { error: 'error.code' } };
  const gone = await refused(coded, { error: { message: 'Token at-SECRET has expired', code: 190 } });
  assert.equal(gone?.error, 'invalid_grant');
  assert.match(gone.message, /Token \[secret\] has expired/);
  assert.equal((await refused(coded, { error: { code: 4 } }))?.error, '4');
  const listed = { invalid_grant_errors: ['invalid'], token_response_paths: { error: 'errors.0.code' } };
  assert.equal((await refused(listed, { errors: [{ code: 'invalid' }] }))?.error, 'invalid_grant');
  assert.equal((await refused({}, { error: 'bad_refresh_token' }))?.error, 'bad_refresh_token');
});

test('an error with status 200 and under the provider’s own name is an error', async () => {
  const auth = { token_response_paths: { error: 'errcode' }, invalid_grant_errors: ['42002'] };
  const answer = (body: object) =>
    refresh({ refresh_request: ITSELF, ...auth }, HELD, provider([200, body]).context)?.then(
      ({ access_token }) => access_token.reveal(),
      (error: Error & { error?: string }) => `${error.error}: ${error.message}`,
    );
  assert.match((await answer({ errcode: 42002, errmsg: 'refresh_token timeout' })) ?? '', /^invalid_grant: .*42002/);
  assert.match((await answer({ errcode: 40001, errmsg: 'no' })) ?? '', /^40001: /);
  assert.equal(await answer({ errcode: 0, access_token: 'at-2' }), 'at-2');
});

test('refresh requests may authenticate the client in another way', async () => {
  const auth = { authorization_method: 'body', refresh_authorization_method: 'header' };
  const { context, asked } = provider([200, { access_token: 'at-2' }]);
  await refresh(auth, { ...HELD, refresh_token: secret('rt') }, context);
  assert.match(asked[0]?.headers['authorization'] ?? '', /^Basic /);
  assert.doesNotMatch(String(asked[0]?.body), /client_secret/);
});

test('a token is revoked as the Blueprint configures; a rejection is an error without secrets', async () => {
  const revocation_request = {
    method: 'DELETE',
    url: 'https://acme.example/tokens/${raw.user_id}',
    headers: { Authorization: 'Bearer ${access_token}', 'X-Client': 'Basic ${oauth_client_basic_encoded}' },
  };
  const integration = integrationOf(oauth2, { ...URLS, revocation_request });
  assert.equal(oauth2.revocation?.applies(integration), true);
  const { context, asked } = provider([204, ''], [401, { message: 'at-SECRET?' }]);
  const revoke = () => oauth2.revocation?.revoke({ integration, config: {}, credentials: HELD }, context);
  await revoke();
  assert.deepEqual(
    [asked[0]?.method, asked[0]?.url, asked[0]?.headers['authorization']],
    ['DELETE', 'https://acme.example/tokens/7', 'Bearer at-SECRET'],
  );
  assert.equal(asked[0]?.headers['x-client'], `Basic ${Buffer.from('client-1:secret-1').toString('base64')}`);
  await assert.rejects(async () => revoke(), { code: 'provider_error', message: /401: .*\[secret\]\?/ });
});

test('both requests send a provider’s own name of the callback URL; a path may name the client', async () => {
  const auth = {
    authorization_url: 'https://acme.example/apps/${oauth_client_id}/authorize',
    redirect_uri: '${config.callback_name}',
    token_headers: { 'Client-Id': '${oauth_client_id}' },
  };
  const integration = integrationOf(oauth2, { ...URLS, ...auth });
  const config = { callback_name: 'acme-app-1' };
  const request = { integration, config, redirectUri: 'https://nango.example/oauth/callback' };
  const { context, asked } = provider([200, { access_token: 'at', token_type: 'bearer' }]);
  const begun = await oauth2.authorization?.begin({ ...request, state: secret('s') }, context);
  const url = new URL(begun?.authorizationUrl.reveal() ?? '');
  assert.equal(url.pathname, '/apps/client-1/authorize');
  assert.equal(url.searchParams.get('redirect_uri'), 'acme-app-1');
  const callback = responseParameters([
    ['code', 'c'],
    ['state', 's'],
  ]);
  await oauth2.authorization?.complete({ ...request, callback, secrets: begun?.secrets ?? {} }, context);
  assert.equal(new URLSearchParams(String(asked[0]?.body)).get('redirect_uri'), 'acme-app-1');
  assert.equal(asked[0]?.headers['client-id'], 'client-1');
});

test('a refresh that needs redirect_uri sends the one that the grant began with', async () => {
  const integration = integrationOf(oauth2, { ...URLS, refresh_with_redirect_uri: true });
  const request = { integration, config: {}, redirectUri: 'https://nango.example/oauth/callback' };
  const { context, asked } = provider([200, { access_token: 'at', refresh_token: 'rt' }], [200, { access_token: 'b' }]);
  const begun = await oauth2.authorization?.begin({ ...request, state: secret('s') }, context);
  const callback = responseParameters([
    ['code', 'c'],
    ['state', 's'],
  ]);
  const done = await oauth2.authorization?.complete({ ...request, callback, secrets: begun?.secrets ?? {} }, context);
  const { credentials } = done ?? assert.fail();
  const again = await oauth2.refresh?.refresh({ integration, config: {}, credentials }, context);
  assert.equal(new URLSearchParams(String(asked[1]?.body)).get('redirect_uri'), request.redirectUri);
  assert.equal(again?.grant?.redirect_uri, request.redirectUri);
});
