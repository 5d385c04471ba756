import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import Nango, { type NangoClientError } from '@nangohq/node-client';
import { SECRET_KEY, startTestServer } from '../support/nango-server.ts';
import { startScriptedProvider, type ScriptedResponse } from '../support/scripted-provider.ts';

const KEYED = (url: string) => `integrations:
  keyed:
    app_api_key: app-key
    auth: { auth_mode: API_KEY }
    requests:
      base_url: ${url}/v1/
      headers: { X-Api-Key: '\${api_key}', User-Agent: Nango }
      params: { app: '\${app_api_key}' }
  basic:
    auth: { auth_mode: USERNAME_PASSWORD }
    requests:
      base_url: ${url}/
      headers: { Authorization: 'Basic \${basic_auth_encoded}' }
`;

const ECHO_ACTION = `import { NangoAction } from '@nangohq/action';
import { describe } from './shared';
enum Kind { Note = 'note' }
class KeyedEchoAction extends NangoAction {
  override async executeAction(input: { path: string }) {
    const wrong: number = 'types are not checked';
    this.logger.info('echoing', { kind: Kind.Note });
    const response = await this.httpRequest(input.path, 'POST', { a: 1 }, { hello: 'world' });
    const connection = await this.getCurrentConnection();
    const { userId, credentials } = connection;
    return { status: response.status, text: describe(response.data), userId, raw: credentials.raw };
  }
}
export { KeyedEchoAction };
`;
const SHARED = `export const describe = (text: string): string => \`got \${text}\`;\n`;

describe('the API', () => {
  test('A1: accepts the secret key only in the header', async (t) => {
    const server = await startTestServer(t, { integrations: KEYED('http://localhost:1') });
    for (const headers of [
      { authorization: '' },
      { authorization: 'Bearer wrong' },
      { authorization: `Basic ${SECRET_KEY}` },
      { authorization: `Bearer ${SECRET_KEY}x` },
    ]) {
      const { status, body } = await server.api('GET', `/api/connections?secret_key=${SECRET_KEY}`, undefined, headers);
      assert.equal(status, 401);
      assert.equal((body as { error: { type: string } }).error.type, 'unauthorized');
    }
    assert.equal((await server.api('GET', '/api/connections')).status, 200);
  });

  test('D3: a connection is never found under a name that only resembles its own', async (t) => {
    const api = await startScriptedProvider(t, () => ({ body: '{}' }));
    const server = await startTestServer(t, { integrations: KEYED(api.url) });
    await server.nango.registerConnection('keyed', 'org1/42', { api_key: 'key-of-42' });
    const read = (integration: string, userId: string) =>
      server.api('GET', `/api/connection?${new URLSearchParams({ integration, userId }).toString()}`);
    const proxied = (integration: string, userId: string) =>
      server.api('GET', '/proxy/x', undefined, {
        'nango-integration': integration,
        'nango-user-id': encodeURIComponent(userId),
      });
    const alike = [
      ['keyed/org1', '42'],
      ['keyed%2forg1', '42'],
      ['keyed/', 'org1/42'],
      ['', 'keyed/org1/42'],
      ['keyed', '/org1/42'],
      ['["keyed","org1/42"]', '42'],
    ] as const;
    for (const isCached of [false, true]) {
      if (isCached) assert.equal((await read('keyed', 'org1/42')).status, 200);
      for (const [integration, userId] of alike) {
        assert.ok([400, 404].includes((await read(integration, userId)).status), `${integration} ${userId}`);
        assert.ok([400, 404].includes((await proxied(integration, userId)).status), `${integration} ${userId}`);
      }
    }
    assert.equal((await proxied('keyed', 'org1/42')).status, 200);
    assert.equal(api.requests.length, 1);
  });

  test('A4: malformed, polluted and mistyped bodies are 400, and the message names the place', async (t) => {
    const server = await startTestServer(t, { integrations: KEYED('http://localhost:1') });
    const nested = '['.repeat(200_000) + ']'.repeat(200_000);
    for (const body of [
      '{',
      `{"integration":"keyed","userId":"1","credentials":{"api_key":${nested}}}`,
      '{"__proto__":{"x":1}}',
      '[]',
      '{"integration":"keyed","userId":5,"credentials":{}}',
      '"x"',
    ]) {
      const answer = await server.api('POST', '/api/connections', body);
      assert.equal(answer.status, 400, body.slice(0, 80));
      assert.equal((answer.body as { error: { type: string } }).error.type, 'invalid_request');
    }
    const { body } = await server.api('POST', '/api/connections', { integration: 'keyed', userId: 5, credentials: {} });
    assert.match((body as { error: { message: string } }).error.message, /userId/);
  });

  test('A6: browsers get no CORS permission for /api', async (t) => {
    const server = await startTestServer(t, { integrations: KEYED('http://localhost:1') });
    const { headers } = await server.api('GET', '/api/connections', undefined, { origin: 'https://app.example' });
    assert.equal(headers.get('access-control-allow-origin'), null);
  });

  test('A7: an error has code, message and request id, and never a stack', async (t) => {
    const server = await startTestServer(t, { integrations: KEYED('http://localhost:1') });
    const { status, body } = await server.api('GET', '/nowhere');
    assert.equal(status, 404);
    assert.deepEqual(Object.keys((body as { error: object }).error), ['type', 'message', 'requestId']);
  });

  test('with oauth_server_enabled: false there are no /oauth routes', async (t) => {
    const server = await startTestServer(t, {
      integrations: KEYED('http://localhost:1'),
      config: 'oauth_server_enabled: false\n',
    });
    for (const path of ['/oauth/callback?state=x', '/oauth/connect/keyed'])
      assert.equal((await server.api('GET', path)).status, 404);
    assert.equal((await server.api('POST', '/oauth/attempts', { integration: 'keyed', userId: '1' })).status, 404);
  });
});

describe('the node SDK', () => {
  test('registers, reads, changes, lists and deletes connections', async (t) => {
    const { nango } = await startTestServer(t, { integrations: KEYED('http://localhost:1') });
    assert.equal((await nango.connect()).returnValue.integrations.length, 2);
    const registered = await nango.registerConnection('keyed', '1', { api_key: 'k1', note: 'x' }, { region: 'eu' });
    assert.equal(registered.success, true);
    const { id, uuid, dateCreated, lastModified, ...rest } = registered.returnValue;
    assert.equal(id, uuid);
    assert.match(uuid, /^[\da-f-]{36}$/);
    assert.ok(!Number.isNaN(Date.parse(dateCreated)) && dateCreated === lastModified);
    assert.deepEqual(rest, {
      integration: 'keyed',
      userId: '1',
      account: 'default',
      authMode: 'API_KEY',
      additionalConfig: { region: 'eu' },
      tags: {},
      oauthClient: null,
      identity: null,
      requestedScopes: null,
      grantedScopes: null,
      missingScopes: null,
      status: 'active',
      statusReason: null,
      statusMessage: null,
    });

    await assert.rejects(
      nango.registerConnection('keyed', '1', { api_key: 'k2' }),
      (error: NangoClientError) =>
        !error.success && error.type === 'connection_exists' && error.errorMsg === error.message,
    );
    const read = (await nango.getConnection('keyed', '1')).returnValue;
    assert.deepEqual(read.credentials, { api_key: 'k1', raw: { api_key: 'k1', note: 'x' } });

    await nango.updateConnectionCredentials('keyed', '1', { api_key: 'k3' });
    assert.equal((await nango.getConnection('keyed', '1')).returnValue.credentials['api_key'], 'k3');
    await assert.rejects(nango.updateConnectionCredentials('keyed', '1', { username: 'u', password: 'p' }), {
      type: 'invalid_credentials',
      message: /API_KEY.*api_key/,
    });
    await nango.updateConnectionConfig('keyed', '1', { b: [1, null] });
    assert.deepEqual((await nango.getConnection('keyed', '1')).returnValue.additionalConfig, { b: [1, null] });

    await nango.registerConnection('basic', '1', { username: 'u', password: '' });
    assert.deepEqual(
      (await nango.getConnectionsForUserId('1')).returnValue.map(({ integration }) => integration),
      ['basic', 'keyed'],
    );
    assert.deepEqual((await nango.getConnectionsForIntegration('nothing')).returnValue, []);
    assert.equal((await nango.deleteConnection('keyed', '1')).success, true);
    await assert.rejects(nango.getConnection('keyed', '1'), { type: 'connection_not_found', status: 404 });
    await assert.rejects(nango.deleteConnection('keyed', '1'), { type: 'connection_not_found' });
    await assert.rejects(nango.registerConnection('kyed', '1', { api_key: 'x' }), {
      type: 'unknown_integration',
      message: /Did you mean "keyed"/,
    });
  });

  test('requests one page after another for many connections', async (t) => {
    const { nango } = await startTestServer(t, { integrations: KEYED('http://localhost:1') });
    const users = Array.from({ length: 430 }, (_, index) => `user ${index}`);
    for (let start = 0; start < users.length; start += 50)
      await Promise.all(
        users.slice(start, start + 50).map((user) => nango.registerConnection('keyed', user, { api_key: 'k' })),
      );
    assert.deepEqual(
      (await nango.getConnectionsForIntegration('keyed')).returnValue.map(({ userId }) => userId).toSorted(),
      users.toSorted(),
    );
  });

  test('takes expires_at as Date, ISO string or epoch', async (t) => {
    const { nango } = await startTestServer(t, {
      integrations: `integrations:\n  acme:\n    oauth_client_id: a\n    oauth_client_secret: b\n    oauth_scopes: []\n    auth: { auth_mode: OAUTH2, authorization_url: 'https://a.com/a', token_url: 'https://a.com/t' }\n    requests: { base_url: 'https://a.com' }`,
    });
    const at = new Date('2099-01-02T03:04:05.000Z');
    for (const [index, expires_at] of [at, at.toISOString(), at.getTime(), at.getTime() / 1000].entries()) {
      await nango.registerConnection('acme', String(index), { access_token: 'a', expires_at });
      assert.equal(
        (await nango.getConnection('acme', String(index))).returnValue.credentials['expires_at'],
        at.toISOString(),
      );
    }
    await assert.rejects(nango.registerConnection('acme', 'x', { access_token: 'a', expires_at: 'soon' }), {
      type: 'invalid_credentials',
    });
    await assert.rejects(nango.registerConnection('acme', 'x', { access_token: 'a\r\nb' }), {
      type: 'invalid_credentials',
    });
  });

  test('rejects values that cannot be JSON before it sends anything', async () => {
    const nango = new Nango({ serverUrl: 'http://localhost:1', secretKey: 'x' });
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = { cyclic };
    for (const input of [10n, () => 1, Symbol('x'), Number.NaN, Infinity, cyclic, new Map(), { a: [new Set()] }]) {
      await assert.rejects(nango.triggerAction('a', 'b', '1', input), {
        type: 'invalid_input',
        message: /^input.*cannot be JSON/,
      });
    }
    await assert.rejects(nango.getConnection('', '1'), { type: 'invalid_input' });
    await assert.rejects(nango.getConnection('a', '1'), { type: 'network_error', message: /http:\/\/localhost:1/ });
    assert.throws(() => new Nango({ serverUrl: 'x', secretKey: 'x' }), { type: 'invalid_input' });
    nango.close();
    await assert.rejects(nango.getConnection('a', '1'), { type: 'network_error', message: /closed/ });
  });

  test('a response that is cut off is a network_error', async (t) => {
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{', () => response.destroy());
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const nango = new Nango({ serverUrl: `http://127.0.0.1:${port}`, secretKey: 'x' });
    await assert.rejects(nango.getConnection('a', '1'), { name: 'NangoClientError', type: 'network_error' });
  });

  test('is the same as CommonJS', () => {
    const required = createRequire(import.meta.url)('@nangohq/node-client') as {
      default: typeof Nango;
      Nango: typeof Nango;
    };
    assert.equal(typeof required.default, 'function');
    assert.equal(required.Nango, required.default);
  });

  test('request() is authorized and resolves for every status', async (t) => {
    const provider = await startScriptedProvider(t, ({ path }) =>
      path === '/v1/missing'
        ? { status: 404, headers: { 'content-type': 'text/plain' }, body: 'no' }
        : { body: { ok: true } },
    );
    const { nango } = await startTestServer(t, { integrations: KEYED(provider.url) });
    await nango.registerConnection('keyed', '1', { api_key: 'the-key' });
    await nango.registerConnection('basic', '1', { username: 'ü', password: 'p:w' });
    const response = (
      await nango.request('keyed', '1', {
        method: 'POST',
        endpoint: '/things',
        params: { q: 'a&b' },
        body: { x: 1 },
        headers: { 'X-Api-Key': 'evil', 'X-Own': '1' },
      })
    ).returnValue;
    assert.deepEqual(
      [response.status, response.statusText, response.json, response.data],
      [200, 'OK', { ok: true }, '{"ok":true}'],
    );
    const { path, query, headers, body } = provider.requests[0] ?? assert.fail();
    assert.deepEqual([path, Object.fromEntries(query), body], ['/v1/things', { app: 'app-key', q: 'a&b' }, '{"x":1}']);
    assert.deepEqual(
      [headers['x-api-key'], headers['x-own'], headers['user-agent'], headers['authorization']],
      ['the-key', '1', 'Nango', undefined],
    );
    const missing = (await nango.request('keyed', '1', { endpoint: 'missing' })).returnValue;
    assert.deepEqual([missing.status, missing.data, missing.json], [404, 'no', undefined]);
    await nango.request('basic', '1', { endpoint: 'x' });
    assert.equal(
      provider.requests[2]?.headers.authorization,
      `Basic ${Buffer.from('ü:p:w', 'utf8').toString('base64')}`,
    );
    await assert.rejects(nango.request('keyed', '1', { endpoint: '../x' }), { type: 'invalid_endpoint' });
    provider.answer = () => 'cut';
    await assert.rejects(nango.request('keyed', '1', { endpoint: 'x' }), { type: 'request_failed', status: 502 });
  });

  test('an API that does not respond in time is request_timeout', async (t) => {
    const provider = await startScriptedProvider(t, () => 'hang');
    const { nango } = await startTestServer(t, {
      integrations: KEYED(provider.url),
      config: 'default_http_request_timeout_seconds: 0.05\n',
    });
    await nango.registerConnection('keyed', '1', { api_key: 'k' });
    await assert.rejects(nango.request('keyed', '1', { endpoint: 'x' }), { type: 'request_timeout', status: 504 });
  });
});

describe('rate limits', () => {
  async function startLimited(t: TestContext, answers: ScriptedResponse[]) {
    const waits: number[] = [];
    const provider = await startScriptedProvider(t, () => answers.shift() ?? { body: { ok: true } });
    const { nango } = await startTestServer(t, {
      integrations: KEYED(provider.url),
      now: () => Date.parse('2026-10-21T07:28:00Z'),
      delay: async (milliseconds) => void waits.push(milliseconds),
    });
    await nango.registerConnection('keyed', '1', { api_key: 'k' });
    const send = async (method: 'GET' | 'POST', retry?: { anyMethod: boolean }) => {
      const body = method === 'POST' ? { body: {} } : {};
      const request = { method, endpoint: 'x', ...body, ...(retry ? { retry } : {}) };
      return (await nango.request('keyed', '1', request)).returnValue.status;
    };
    return { provider, waits, send };
  }

  test('P11: a request that is not idempotent is repeated only if the caller allows it', async (t) => {
    const limited = { status: 429, headers: { 'retry-after': '1' } };
    const { waits, send } = await startLimited(t, [limited, limited, { body: {} }]);
    assert.equal(await send('POST'), 429);
    assert.deepEqual(waits, []);
    assert.equal(await send('POST', { anyMethod: true }), 200);
    assert.deepEqual(waits, [1000]);
  });

  test('P11: 429 is retried after the time that the API names, in seconds or as a date', async (t) => {
    const { waits, send } = await startLimited(t, [
      { status: 429, headers: { 'retry-after': '2' } },
      { status: 429, headers: { 'retry-after': 'Wed, 21 Oct 2026 07:28:03 GMT' } },
      { status: 429 },
    ]);
    assert.equal(await send('GET'), 200);
    assert.deepEqual(waits, [2000, 3000, 4000]);
  });

  test('P11: retries are bounded in number and in time', async (t) => {
    const limited = { status: 429, headers: { 'retry-after': '1' } };
    const { provider, waits, send } = await startLimited(t, [
      limited,
      limited,
      limited,
      limited,
      { status: 429, headers: { 'retry-after': '31' } },
    ]);
    assert.equal(await send('GET'), 429);
    assert.equal(provider.requests.length, 4);
    assert.equal(await send('GET'), 429);
    assert.deepEqual(waits, [1000, 1000, 1000]);
  });

  test('P11: 503 is retried only with Retry-After and an idempotent method', async (t) => {
    const busy = { status: 503, headers: { 'retry-after': '1' } };
    const { waits, send } = await startLimited(t, [busy, { body: {} }, busy, { status: 503 }]);
    assert.equal(await send('GET'), 200);
    assert.equal(await send('POST'), 503);
    assert.equal(await send('GET'), 503);
    assert.deepEqual(waits, [1000]);
  });
});

describe('Actions', () => {
  test('run with httpRequest, connection and logger, from TypeScript with local imports', async (t) => {
    const provider = await startScriptedProvider(t, ({ body }) => ({ status: 404, body }));
    const server = await startTestServer(t, {
      integrations: KEYED(provider.url),
      files: { 'keyed/echo.action.ts': ECHO_ACTION, 'keyed/shared.ts': SHARED },
    });
    await server.nango.registerConnection('keyed', 'user-7', { api_key: 'k' });
    const { returnValue } = await server.nango.triggerAction('keyed', 'echo', 'user-7', { path: 'x' });
    assert.deepEqual(returnValue, {
      status: 404,
      text: 'got {"hello":"world"}',
      userId: 'user-7',
      raw: { api_key: 'k' },
    });
    assert.equal(provider.requests[0]?.query.get('a'), '1');
    const line =
      server
        .log()
        .split('\n')
        .find((text) => text.includes('echoing')) ?? '';
    const { level, time, integration, action, userId, execution, kind } = JSON.parse(line) as Record<string, string>;
    assert.deepEqual([level, integration, action, userId, kind], ['info', 'keyed', 'echo', 'user-7', 'note']);
    assert.match(execution ?? '', /^[\da-f]{8}$/);
    assert.ok(!Number.isNaN(Date.parse(time ?? '')));
  });

  test('an edit of the file or of its imports takes effect with the next run', async (t) => {
    const provider = await startScriptedProvider(t, () => ({ body: '{}' }));
    const server = await startTestServer(t, {
      integrations: KEYED(provider.url),
      files: { 'keyed/echo.action.ts': ECHO_ACTION, 'keyed/shared.ts': SHARED },
    });
    await server.nango.registerConnection('keyed', '1', { api_key: 'k' });
    const text = async () =>
      ((await server.nango.triggerAction('keyed', 'echo', '1', { path: 'x' })).returnValue as { text: string }).text;
    assert.equal(await text(), 'got {}');
    writeFileSync(join(server.folder, 'keyed/shared.ts'), SHARED.replace('got', 'now'));
    assert.equal(await text(), 'now {}');
  });

  test('errors name the problem and its place', async (t) => {
    const base = `import { NangoAction } from '@nangohq/action';\n`;
    const action = (name: string, body: string) =>
      `${base}export class ${name} extends NangoAction { async executeAction() { ${body} } }`;
    const server = await startTestServer(t, {
      integrations: KEYED('http://localhost:1'),
      files: {
        'keyed/syntax.action.ts': `${base}class KeyedSyntaxAction extends NangoAction {
  async executeAction( { return 1 }
}`,
        'keyed/noexport.action.ts': action('SomethingElse', ''),
        'keyed/nobase.action.ts': `export class KeyedNobaseAction { async executeAction() {} }`,
        'keyed/throws.action.ts': action('KeyedThrowsAction', `throw new Error('Nothing to sync')`),
        'keyed/bigint.action.ts': action('KeyedBigintAction', 'return { n: 1n }'),
        'keyed/faults.action.ts': action('KeyedFaultsAction', `return this.httpRequest('../x', 'GET')`),
        'keyed/void.action.ts': action('KeyedVoidAction', ''),
      },
    });
    const { nango } = server;
    await nango.registerConnection('keyed', '1', { api_key: 'k' });
    const run = (action: string) => nango.triggerAction('keyed', action, '1');
    await assert.rejects(run('syntax'), {
      type: 'action_invalid',
      message: /^keyed\/syntax\.action\.ts:3:33 Expected/,
    });
    await assert.rejects(run('noexport'), {
      type: 'action_invalid',
      message: /exports no class KeyedNoexportAction\. Its exports: SomethingElse/,
    });
    await assert.rejects(run('nobase'), { type: 'action_invalid', message: /does not extend NangoAction/ });
    await assert.rejects(run('throws'), { type: 'action_failed', message: 'Nothing to sync' });
    await assert.rejects(run('bigint'), { type: 'action_invalid', message: /cannot be JSON/ });
    await assert.rejects(run('faults'), { type: 'invalid_endpoint' });
    await assert.rejects(run('throw'), { type: 'action_not_found', message: /Did you mean "throws"/ });
    assert.equal((await run('void')).returnValue, null);
  });

  test('a failing Action is logged once, with the lines of its sources', async (t) => {
    const base =
      `import { NangoAction } from '@nangohq/action';\n` +
      `import { fail } from './shared';\ninterface Unused { a: string }\n`;
    const server = await startTestServer(t, {
      integrations: KEYED('http://localhost:1'),
      files: {
        'keyed/fails.action.ts':
          `${base}\n\nexport class KeyedFailsAction extends NangoAction {\n` +
          `  async executeAction() {\n    return fail();\n  }\n}\n`,
        'keyed/shared.ts': `// one\n// two\nexport function fail(): never {\n  throw new Error('Broken MARK');\n}\n`,
      },
    });
    await server.nango.registerConnection('keyed', '1', { api_key: 'k' });
    await assert.rejects(server.nango.triggerAction('keyed', 'fails', '1'), { message: 'Broken MARK' });
    const lines = server
      .log()
      .split('\n')
      .filter((line) => line.includes('MARK'));
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(lines[0] ?? '', /keyed\/shared\.ts:4:9/);
    assert.match(lines[0] ?? '', /keyed\/fails\.action\.ts:8:12/);
  });

  test('an Action that fails by a request or a frozen error is logged once, under the request id', async (t) => {
    const fails = (name: string, body: string) =>
      `import { NangoAction } from '@nangohq/action';
interface Unused { a: string }
export class Keyed${name}Action extends NangoAction {
  async executeAction() {
    ${body}
  }
}
`;
    const server = await startTestServer(t, {
      integrations: KEYED('http://localhost:1'),
      files: {
        'keyed/request.action.ts': fails('Request', `return this.httpRequest('x', 'POST');`),
        'keyed/frozen.action.ts': fails('Frozen', `throw Object.freeze(new Error('frozen'));`),
      },
    });
    await server.nango.registerConnection('keyed', '1', { api_key: 'k' });
    for (const [action, type] of [
      ['request', 'request_failed'],
      ['frozen', 'action_failed'],
    ] as const) {
      const { body } = await server.api('POST', `/api/actions/keyed/${action}`, { userId: '1' });
      const { error } = body as { error: { type: string; requestId: string } };
      assert.equal(error.type, type);
      const lines = server.log().split('\n');
      const failures = lines.filter((line) => line.includes('"level":"error"') && line.includes(error.requestId));
      assert.equal(failures.length, 1, failures.join('\n'));
    }
  });

  test('X5: names that are paths load no file', async (t) => {
    const { nango } = await startTestServer(t, {
      integrations: KEYED('http://localhost:1'),
      files: { 'keyed/ok.action.ts': '' },
    });
    await nango.registerConnection('keyed', '1', { api_key: 'k' });
    for (const name of ['../keyed/ok', '..%2fkeyed%2fok', '.', 'ok.action', '/etc/passwd'])
      await assert.rejects(nango.triggerAction('keyed', name, '1'), { type: /action_not_found|not_found|invalid/ });
    await assert.rejects(nango.triggerAction('../keyed', 'ok', '1'), { type: 'unknown_integration' });
  });
});

describe('hot reload', () => {
  async function eventually(check: () => Promise<boolean> | boolean): Promise<void> {
    for (let attempt = 0; attempt < 200; attempt += 1) {
      if (await check()) return;
      await delay(25);
    }
    assert.fail('it did not happen');
  }

  test('C6: a valid edit takes effect, and an invalid one is reported once without effect', async (t) => {
    const server = await startTestServer(t, { integrations: KEYED('http://localhost:1') });
    const file = join(server.folder, 'integrations.yaml');
    const names = async () => (await server.nango.connect()).returnValue.integrations.map(({ name }) => name);
    writeFileSync(file, KEYED('http://localhost:1').replace('  basic:', '  renamed:'));
    await eventually(async () => (await names()).includes('renamed'));
    writeFileSync(file, 'integrations:\n  keyed: { nonsense: 1 }\n');
    await eventually(() => server.log().includes('nonsense: is not a known key'));
    assert.deepEqual(await names(), ['keyed', 'renamed']);
    // Editors save a new file in place of the old one.
    writeFileSync(`${file}.tmp`, KEYED('http://localhost:1'));
    renameSync(`${file}.tmp`, file);
    await eventually(async () => (await names()).includes('basic'));
    rmSync(file);
    await eventually(() => server.log().includes('does not exist'));
    assert.deepEqual(await names(), ['keyed', 'basic']);
    assert.equal(server.log().split('nonsense: is not a known key').length, 2);
  });

  test('C6: changes of a folder that Kubernetes mounts from a ConfigMap take effect', async (t) => {
    const server = await startTestServer(t, { integrations: KEYED('http://localhost:1') });
    const names = async () => (await server.nango.connect()).returnValue.integrations.map(({ name }) => name);
    // The kubelet links the files through ..data, and swaps only that link.
    const publish = (version: string, text: string) => {
      mkdirSync(join(server.folder, version));
      writeFileSync(join(server.folder, version, 'integrations.yaml'), text);
      symlinkSync(version, join(server.folder, '..data_tmp'));
      renameSync(join(server.folder, '..data_tmp'), join(server.folder, '..data'));
    };
    publish('..1', KEYED('http://localhost:1').replace('  basic:', '  first:'));
    rmSync(join(server.folder, 'integrations.yaml'));
    symlinkSync('..data/integrations.yaml', join(server.folder, 'integrations.yaml'));
    await eventually(async () => (await names()).includes('first'));
    publish('..2', KEYED('http://localhost:1').replace('  basic:', '  second:'));
    await eventually(async () => (await names()).includes('second'));
  });

  test('requests in flight keep the configuration they began with', async (t) => {
    let release = () => {};
    let arrived = () => {};
    const begun = new Promise<void>((resolve) => (arrived = resolve));
    const provider = await startScriptedProvider(t, async () => {
      arrived();
      await new Promise<void>((resolve) => (release = resolve));
      return { body: '{}' };
    });
    const server = await startTestServer(t, { integrations: KEYED(provider.url) });
    await server.nango.registerConnection('keyed', '1', { api_key: 'k' });
    const pending = server.nango.request('keyed', '1', { endpoint: 'slow' });
    await begun;
    writeFileSync(join(server.folder, 'integrations.yaml'), 'integrations: {}\n');
    await eventually(async () => (await server.nango.connect()).returnValue.integrations.length === 0);
    release();
    assert.equal((await pending).returnValue.status, 200);
  });
});
