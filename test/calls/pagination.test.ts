import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { SECRET_KEY, startTestServer } from '../support/nango-server.ts';
import { startScriptedProvider, type ScriptedResponse, type SeenRequest } from '../support/scripted-provider.ts';

const ITEMS = Array.from({ length: 5 }, (_, index) => ({ id: index }));

async function startPaged(
  t: TestContext,
  answer: (request: SeenRequest, url: string) => ScriptedResponse,
  pagination: string,
) {
  let url = '';
  const provider = await startScriptedProvider(t, (request) => answer(request, url));
  ({ url } = provider);
  const server = await startTestServer(t, {
    integrations: `integrations:
  acme:
    auth: { auth_mode: API_KEY }
    requests:
      base_url: ${url}/v1/
      params: { key: '\${api_key}' }
${pagination}
`,
    files: {
      'acme/all.action.ts': `import { NangoAction } from '@nangohq/action';
class AcmeAllAction extends NangoAction {
  override async executeAction() {
    const items = [];
    for await (const item of this.paginate('items')) items.push(item);
    return items;
  }
}
export { AcmeAllAction };
`,
    },
  });
  await server.nango.registerConnection('acme', '1', { api_key: 'k' });
  const all = async (request: Partial<Parameters<typeof server.nango.paginate>[2]> = {}) => {
    const items: unknown[] = [];
    for await (const item of server.nango.paginate('acme', '1', { endpoint: 'items', ...request })) items.push(item);
    return items;
  };
  return { server, provider, all };
}

const link = '      pagination: { type: link, items: data }';

test('pages by the Link header, only below the base_url, and without repeating credentials', async (t) => {
  const { all, provider, server } = await startPaged(
    t,
    ({ query }, url) => {
      const page = Number(query.get('page') ?? 0);
      const next = `<${url}/v1/items?page=${page + 1}&key=old>; rel="next", <${url}/v1/items>; rel=first`;
      return { body: { data: ITEMS.slice(page * 2, page * 2 + 2) }, headers: page < 2 ? { link: next } : {} };
    },
    link,
  );
  assert.deepEqual(await all(), ITEMS);
  assert.deepEqual(
    provider.requests.map(({ path, query }) => [path, query.get('page'), query.getAll('key')]),
    [
      ['/v1/items', null, ['k']],
      ['/v1/items', '1', ['k']],
      ['/v1/items', '2', ['k']],
    ],
  );
  const { returnValue } = await server.nango.triggerAction('acme', 'all', '1');
  assert.deepEqual(returnValue, ITEMS);
});

test('a next link to another place is rejected after its page was delivered', async (t) => {
  for (const target of ['https://evil.example/v1/items', '/other/items', '/v1/../items', 'http://[bad']) {
    const { server, provider } = await startPaged(
      t,
      () => ({ body: { data: ITEMS }, headers: { link: `<${target}>; rel="next"` } }),
      link,
    );
    const items: unknown[] = [];
    await assert.rejects(
      async () => {
        for await (const item of server.nango.paginate('acme', '1', { endpoint: 'items' })) items.push(item);
      },
      { type: 'invalid_endpoint', message: /as the next page, which is not below the base_url/ },
      target,
    );
    assert.deepEqual(items, ITEMS, target);
    assert.equal(provider.requests.length, 1);
  }
});

test('a Link header that cannot be parsed ends a list with an error after its page was delivered', async (t) => {
  const { server } = await startPaged(
    t,
    () => ({ body: { data: ITEMS }, headers: { link: '<https://api.example; rel="next' } }),
    link,
  );
  const items: unknown[] = [];
  const read = async () => {
    for await (const item of server.nango.paginate('acme', '1', { endpoint: 'items' })) items.push(item);
  };
  await assert.rejects(read, { type: 'page_failed', message: /Link header/ });
  assert.deepEqual(items, ITEMS);
});

test('pagination can follow only the query of a link that lacks the prefix of a gateway', async (t) => {
  const { all, provider } = await startPaged(
    t,
    ({ query }) => {
      const from = Number(query.get('cursor') ?? 0);
      const next = `/other/api/v2/items?cursor=${from + 2}&key=old`;
      return { body: { data: ITEMS.slice(from, from + 2), _links: from < 4 ? { next } : {} } };
    },
    '      pagination: { type: link, items: data, next: _links.next }',
  );
  await assert.rejects(all(), { message: /\/other\/api\/v2\/items as the next page.*pagination\.follow: query/ });
  provider.requests.length = 0;
  assert.deepEqual(await all({ pagination: { follow: 'query' } }), ITEMS);
  assert.deepEqual(
    provider.requests.map(({ path, query }) => [path, query.get('cursor'), query.getAll('key')]),
    [
      ['/v1/items', null, ['k']],
      ['/v1/items', '2', ['k']],
      ['/v1/items', '4', ['k']],
    ],
  );
});

test('a link without a query ends the list where only queries are followed', async (t) => {
  const pagination = '      pagination: { type: link, items: data, next: next, follow: query }';
  const { all, provider } = await startPaged(t, () => ({ body: { data: ITEMS, next: '/v2/items' } }), pagination);
  await assert.rejects(all(), { type: 'invalid_endpoint' });
  assert.equal(provider.requests.length, 1);
});

test('relative links are resolved against the URL of the request (RFC 8288 §3.2), after redirects too', async (t) => {
  for (const [endpoint, next, path] of [
    ['lists/all', '?page=2', '/v1/lists/all'],
    ['lists/all', 'second?page=2', '/v1/lists/second'],
    ['lists/all?page=1', '?page=2', '/v1/lists/all'],
    ['moved', '?page=2', '/v1/lists/all'],
  ] as const) {
    const { all, provider } = await startPaged(
      t,
      (request) => {
        if (request.path === '/v1/moved') return { status: 307, headers: { location: '/v1/lists/all' } };
        const headers: Record<string, string> =
          request.query.get('page') === '2' ? {} : { link: `<${next}>; rel="next"` };
        return { body: { data: [request.path] }, headers };
      },
      link,
    );
    assert.deepEqual(await all({ endpoint }), ['/v1/lists/all', path], `${endpoint} ${next}`);
    assert.deepEqual(provider.requests.at(-1)?.query.getAll('key'), ['k']);
  }
});

test('JSON is parsed whatever its content type, and a page without JSON is an error', async (t) => {
  let answer: ScriptedResponse = {};
  const { all, server } = await startPaged(t, () => answer, link);
  for (const type of [
    'text/javascript; charset=UTF-8',
    'text/plain',
    'text/json',
    'application/json',
    'application/x-amz-json-1.1',
  ]) {
    for (const mark of ['', '\uFEFF']) {
      answer = { body: `${mark}{"data":[1],"next":null}`, headers: { 'content-type': type } };
      assert.deepEqual(await all(), [1], type);
      const { returnValue } = await server.nango.request('acme', '1', { endpoint: 'items' });
      assert.deepEqual(returnValue.json, { data: [1], next: null }, type);
    }
  }
  for (const body of ['<html>Sign in</html>', '', '{"data":[1']) {
    answer = { body, headers: { 'content-type': 'text/html; charset=utf-8' } };
    await assert.rejects(all(), { type: 'page_failed', message: /is not JSON; its content type: text\/html/ });
    answer = { body };
    await assert.rejects(all(), { type: 'page_failed', message: /is not JSON/ });
  }
  answer = { status: 204 };
  assert.deepEqual(await all(), []);
});

test('request(), paginate() and Actions accept JSON by default, and /proxy adds no Accept header', async (t) => {
  const { all, server, provider } = await startPaged(t, () => ({ body: { data: [] } }), link);
  const accepted = () => provider.requests.at(-1)?.headers.accept;
  await server.nango.request('acme', '1', { endpoint: 'items' });
  assert.equal(accepted(), 'application/json');
  await all();
  assert.equal(accepted(), 'application/json');
  await server.nango.triggerAction('acme', 'all', '1');
  assert.equal(accepted(), 'application/json');
  await server.nango.request('acme', '1', { endpoint: 'items', headers: { Accept: 'text/csv' } });
  assert.equal(accepted(), 'text/csv');
  await all({ headers: { accept: 'application/vnd.acme+json' } });
  assert.equal(accepted(), 'application/vnd.acme+json');
  const headers = { authorization: `Bearer ${SECRET_KEY}`, 'nango-integration': 'acme', 'nango-user-id': '1' };
  await fetch(`${server.url}/proxy/items`, { headers: { ...headers, accept: 'text/html' } });
  assert.equal(accepted(), 'text/html');

  const configured = await startPaged(
    t,
    () => ({ body: { data: [] } }),
    `      headers: { ACCEPT: 'text/xml' }\n${link}`,
  );
  await configured.server.nango.request('acme', '1', { endpoint: 'items' });
  assert.equal(configured.provider.requests.at(-1)?.headers.accept, 'text/xml');
});

test('pages by a cursor in the response until there is no cursor or it repeats', async (t) => {
  const { all, provider } = await startPaged(
    t,
    ({ query }) => {
      const after = Number(query.get('cursor') ?? 0);
      const following = after + 2 < ITEMS.length ? String(after + 2) : '';
      return { body: { items: ITEMS.slice(after, after + 2), meta: { next_cursor: following } } };
    },
    '      pagination: { type: cursor, items: items, cursor: meta.next_cursor, cursor_param: cursor, ' +
      'limit_param: limit, limit: 2 }',
  );
  assert.deepEqual(await all({ params: { filter: 'a' } }), ITEMS);
  assert.deepEqual(
    provider.requests.map(({ query }) => [query.get('cursor'), query.get('limit'), query.get('filter')]),
    [
      [null, '2', 'a'],
      ['2', '2', 'a'],
      ['4', '2', 'a'],
    ],
  );
  const stuck = await startPaged(
    t,
    () => ({ body: { items: [1], next: 'same' } }),
    '      pagination: { type: cursor, items: items, cursor: next, cursor_param: cursor }',
  );
  assert.deepEqual(await stuck.all(), [1, 1]);
});

test('pages by offset or page number if the call says so', async (t) => {
  const { all, provider } = await startPaged(
    t,
    ({ query }) => {
      const limit = Number(query.get('limit'));
      const from = query.has('page') ? (Number(query.get('page')) - 1) * limit : Number(query.get('offset'));
      return { body: ITEMS.slice(from, from + limit) };
    },
    '',
  );
  const offset = { type: 'offset', offset_param: 'offset', limit_param: 'limit', limit: 2 } as const;
  assert.deepEqual(await all({ pagination: offset }), ITEMS);
  assert.deepEqual(await all({ pagination: { ...offset, offset_param: 'page', unit: 'pages' } }), ITEMS);
  assert.deepEqual(
    provider.requests.map(({ query }) => query.get('offset') ?? query.get('page')),
    ['0', '2', '4', '1', '2', '3'],
  );
  await assert.rejects(all(), { type: 'invalid_request', message: /No pagination is configured for "acme"/ });
  await assert.rejects(all({ pagination: { type: 'cursor' } }), { type: 'invalid_request', message: /cursor_param/ });
});

test('a page that is rejected, or has no list, ends the iteration with an error', async (t) => {
  let answer: ScriptedResponse = { status: 404, body: {} };
  const { all, server } = await startPaged(t, () => answer, link);
  await assert.rejects(all(), { type: 'page_failed', message: /404/ });
  answer = { body: { data: 'text' } };
  await assert.rejects(all(), { type: 'page_failed', message: /"data" in the response is not a list/ });
  const forged = Buffer.from('["endpoint","../../x"]').toString('base64url');
  const { status } = await server.api('POST', '/api/request/page', {
    integration: 'acme',
    userId: '1',
    endpoint: 'items',
    next: forged,
  });
  assert.equal(status, 400);
});

test('the cursor may come from the last item, and the response may say whether there are more items', async (t) => {
  const { all, provider } = await startPaged(
    t,
    ({ query }) => {
      const after = query.has('after') ? Number(query.get('after')) + 1 : 0;
      return { body: { data: ITEMS.slice(after, after + 2), has_more: after + 2 < ITEMS.length } };
    },
    '      pagination: { type: cursor, items: data, cursor: data.-1.id, cursor_param: after, more: has_more }',
  );
  assert.deepEqual(await all(), ITEMS);
  assert.deepEqual(
    provider.requests.map(({ query }) => query.get('after')),
    [null, '1', '3'],
  );
});

test('"*" is the only list of the response, and the call must choose if there are two', async (t) => {
  const { all, provider } = await startPaged(
    t,
    () => ({ body: { meta: { total: 5 }, people: ITEMS } }),
    '      pagination: { type: link, items: "*" }',
  );
  assert.deepEqual(await all(), ITEMS);
  provider.answer = () => ({ body: { people: ITEMS, included: [] } });
  await assert.rejects(all(), { type: 'page_failed', message: /pagination\.items/ });
  assert.deepEqual(await all({ pagination: { items: 'people' } }), ITEMS);
});

test('the Blueprint facebook reads all pages of an API that sends JSON as a script', async (t) => {
  const provider = await startScriptedProvider(t, ({ query }) => {
    const page = Number(query.get('after') ?? 0);
    const paging = page < 2 ? { next: `${provider.url}/v24.0/me/accounts?access_token=at&after=${page + 1}` } : {};
    const type = 'text/javascript; charset=UTF-8';
    return { body: { data: ITEMS.slice(page * 2, page * 2 + 2), paging }, headers: { 'content-type': type } };
  });
  const server = await startTestServer(t, {
    integrations: `integrations:
  facebook:
    extends_blueprint: facebook
    oauth_client_id: id
    oauth_client_secret: secret
    oauth_scopes: []
    requests: { base_url: '${provider.url}/v24.0/' }
`,
  });
  await server.nango.registerConnection('facebook', '1', { access_token: 'at' });
  const items: unknown[] = [];
  for await (const item of server.nango.paginate('facebook', '1', { endpoint: 'me/accounts' })) items.push(item);
  assert.deepEqual(items, ITEMS);
});

test('cursors and items keep all digits of their numbers, and Actions get the nearest number', async (t) => {
  const big = 9_007_199_254_740_993n;
  const pages: Record<string, string> = {
    none: `{"items":[{"id":${big}}],"next":${big}}`,
    [String(big)]: `{"items":[{"id":${big + 2n}}],"next":null}`,
  };
  const { server, provider } = await startPaged(
    t,
    ({ query }) => ({ body: pages[query.get('after') ?? 'none'] ?? '{}' }),
    '      pagination: { type: cursor, items: items, cursor: next, cursor_param: after }',
  );
  const ask = { integration: 'acme', userId: '1', endpoint: 'items' };
  const asked = async (path: string, body: object) => {
    const headers = { authorization: `Bearer ${SECRET_KEY}`, 'content-type': 'application/json' };
    return (await fetch(`${server.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })).text();
  };
  assert.match(
    await asked('/api/request', ask),
    /"json":\{"items":\[\{"id":9007199254740993\}\],"next":9007199254740993\}/,
  );
  const first = await asked('/api/request/page', ask);
  assert.match(first, /"items":\[\{"id":9007199254740993\}\]/);
  const { next } = JSON.parse(first) as { next: string };
  assert.match(await asked('/api/request/page', { ...ask, next }), /"items":\[\{"id":9007199254740995\}\],"next":null/);
  assert.equal(provider.requests.at(-1)?.query.get('after'), String(big));
  const { returnValue } = await server.nango.triggerAction('acme', 'all', '1');
  assert.deepEqual(returnValue, [{ id: Number(big) }, { id: Number(big + 2n) }]);
});
