/** The parts of a browser that flows over HTTP need: cookies by host and port, redirects on request. */
export class UserAgent {
  readonly #jars = new Map<string, Map<string, string>>();

  /** Sends one request, without following redirects. */
  async request(
    url: string,
    { method = 'GET', body, headers = {} }: { method?: string; body?: string; headers?: Record<string, string> } = {},
  ): Promise<Response> {
    const jar = this.#jar(url);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      method,
      body: body ?? null,
      redirect: 'manual',
      headers: { ...headers, ...(cookie === '' ? {} : { cookie }) },
    });
    for (const header of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(header) ?? [];
      if (value === '') jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  /** Follows redirects to addresses that `until` does not match. Resolves to the last address and response. */
  async visit(
    start: string,
    { until, ...init }: { method?: string; until?: RegExp } = {},
  ): Promise<{ url: string; response: Response }> {
    let url = start;
    let response = await this.request(url, init);
    for (let hop = 0; hop < 12; hop += 1) {
      const location = response.headers.get('location');
      if (location === null) return { url, response };
      url = new URL(location, url).href;
      if (until?.test(url)) return { url, response };
      response = await this.request(url);
    }
    throw new Error('redirects without end');
  }

  /** Clicks on the page at an attempt’s address. Resolves to the provider’s address. */
  async confirm(connectUrl: string): Promise<string> {
    const { origin, pathname, searchParams } = new URL(connectUrl);
    const response = await this.request(origin + pathname, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin },
      body: JSON.stringify({ attempt: searchParams.get('attempt'), confirmed: true }),
    });
    return ((await response.json()) as { authorizationUrl: string }).authorizationUrl;
  }

  #jar(url: string): Map<string, string> {
    const { host } = new URL(url);
    const jar = this.#jars.get(host) ?? new Map<string, string>();
    this.#jars.set(host, jar);
    return jar;
  }
}

/** The request of connect() before its popup navigates. */
export async function beginAttempt(
  serverUrl: string,
  {
    integration = 'acme',
    userId = '1',
    origin = 'http://localhost:9999',
    token,
    account,
    additionalConfig,
  }: {
    integration?: string;
    userId?: string;
    origin?: string | null;
    token?: string;
    account?: string;
    additionalConfig?: object;
  } = {},
) {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (origin !== null) headers['origin'] = origin;
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
  const response = await fetch(`${serverUrl}/oauth/attempts`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ integration, userId, account, additionalConfig }),
  });
  const body = (await response.json()) as {
    attempt: string;
    connectUrl: string;
    nonce?: string;
    status?: string;
    error?: { type: string; message: string };
  };
  return { ...body, response };
}

/** The state of an attempt, as connect() reads it. */
export async function attemptResult(
  serverUrl: string,
  attempt: string,
): Promise<{ status: string; error: { type: string; message: string } | null }> {
  return (await (await fetch(`${serverUrl}/oauth/attempts/${attempt}`)).json()) as {
    status: string;
    error: { type: string; message: string } | null;
  };
}

/** Runs a connect flow at a provider that redirects with `code=c1` and `callback`. Resolves to its result. */
export async function connectBrowser(
  serverUrl: string,
  { callback = 'code=c1', ...begin }: { callback?: string } & NonNullable<Parameters<typeof beginAttempt>[1]> = {},
) {
  const agent = new UserAgent();
  const { attempt, connectUrl, error } = await beginAttempt(serverUrl, begin);
  if (error) return { status: 'failed', error };
  const opened = (await agent.request(connectUrl)).headers.get('location');
  const location = opened ?? (begin.token === undefined ? 'about:blank' : await agent.confirm(connectUrl));
  const state = new URL(location).searchParams.get('state') ?? '';
  await (await agent.request(`${serverUrl}/oauth/callback?state=${state}&${callback}`)).text();
  return attemptResult(serverUrl, attempt);
}
