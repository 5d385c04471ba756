import { setTimeout as delay } from 'node:timers/promises';
import { styleText } from 'node:util';

const REFRESH_TIMEOUT_MS = 30_000;

interface CheckTarget {
  readonly appUrl: string;
  readonly nangoUrl: string;
}

interface ConnectionResponse {
  connection: { uuid: string; status: string } | null;
  token: { fingerprint: string; expiresAt: string };
}

/** Runs the quickstart's flow without a browser, step by step. Resolves to the exit code. */
export async function runCheck({ appUrl, nangoUrl }: CheckTarget): Promise<number> {
  const browser = new Browser();
  const state = { connectUrl: '', attempt: '', consentUrl: '', fingerprint: '' };
  const steps: [string, () => Promise<void>][] = [
    [
      'The application shows its page',
      async () =>
        expect(
          (await (await browser.visit(appUrl)).text()).includes('Connect sandbox'),
          'the page has no Connect button',
        ),
    ],
    [
      'The frontend begins an attempt',
      async () => {
        const body = JSON.stringify({ integration: 'sandbox', userId: '1' });
        const response = await fetch(`${nangoUrl}/oauth/attempts`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', origin: appUrl },
          body,
        });
        expect(response.status === 201, `the server responded with ${response.status}`);
        Object.assign(state, await response.json());
      },
    ],
    [
      'The popup reaches the provider’s consent page',
      async () => {
        const page = await browser.visit(state.connectUrl);
        state.consentUrl = page.url;
        expect((await page.text()).includes('Connect your sandbox account'), 'no consent page was shown');
      },
    ],
    [
      'Approving comes back to the callback and stores the connection',
      async () => {
        const page = await browser.visit(`${state.consentUrl}/approve`, 'POST');
        expect((await page.text()).includes('Connected'), 'the callback page does not say Connected');
        const result = (await (await fetch(`${nangoUrl}/oauth/attempts/${state.attempt}`)).json()) as {
          status: string;
        };
        expect(result.status === 'succeeded', `the attempt ${result.status}`);
      },
    ],
    [
      'The back end reads the connection',
      async () => {
        const { connection, token } = await readConnection(appUrl);
        expect(connection?.status === 'active', 'there is no active connection');
        state.fingerprint = token.fingerprint;
      },
    ],
    ['The Action returns the account’s notes', () => runAction(appUrl)],
    [
      'The access token is refreshed before it expires',
      async () => {
        const deadline = Date.now() + REFRESH_TIMEOUT_MS;
        let current = await readConnection(appUrl);
        while (current.token.fingerprint === state.fingerprint && Date.now() < deadline) {
          await delay(500);
          current = await readConnection(appUrl);
        }
        expect(
          current.token.fingerprint !== state.fingerprint,
          `it was not refreshed within ${REFRESH_TIMEOUT_MS / 1000} s`,
        );
      },
    ],
    ['The Action works with the refreshed token', () => runAction(appUrl)],
  ];
  for (const [name, step] of steps) {
    const failure = await step().then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    const mark =
      failure === undefined
        ? styleText('green', '✓', { stream: process.stdout })
        : styleText('red', '✗', { stream: process.stdout });
    process.stdout.write(`${mark} ${name}${failure === undefined ? '' : `: ${failure}`}\n`);
    if (failure !== undefined) return 1;
  }
  return 0;
}

async function readConnection(appUrl: string): Promise<ConnectionResponse> {
  return (await (await fetch(`${appUrl}/connection`)).json()) as ConnectionResponse;
}

async function runAction(appUrl: string): Promise<void> {
  const result = (await (await fetch(`${appUrl}/notes`, { method: 'POST' })).json()) as {
    notes?: unknown[];
    error?: string;
  };
  expect(result.notes?.length === 3, result.error ?? 'it did not return three notes');
}

function expect(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise);
}

/** The parts of a browser that the flow needs: cookies by host, and redirects. */
class Browser {
  readonly #cookies = new Map<string, string>();

  async visit(start: string, method = 'GET'): Promise<Response> {
    let url = start;
    let verb = method;
    for (let hop = 0; hop < 10; hop += 1) {
      const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(url, { method: verb, redirect: 'manual', headers: { cookie } });
      for (const header of response.headers.getSetCookie()) this.#keep(header);
      const location = response.headers.get('location');
      if (location === null) return response;
      url = new URL(location, url).href;
      verb = 'GET';
    }
    throw new Error('the flow redirected more than ten times');
  }

  #keep(header: string): void {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(header) ?? [];
    if (value === '') this.#cookies.delete(name);
    else this.#cookies.set(name, value);
  }
}
