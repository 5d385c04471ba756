import { createServer, type IncomingMessage } from 'node:http';
import { listen } from './listen.ts';
import type { Cleanup } from './temporary-folder.ts';

/** A request as the provider received it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly form: URLSearchParams;
}

/** The provider’s response. `hang` never responds, and `cut` closes the connection. */
export type ScriptedResponse =
  | { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: string | object }
  | 'hang'
  | 'cut';

/** A provider whose responses a test chooses, for faults that a correct provider never has. */
export interface ScriptedProvider {
  readonly url: string;
  readonly requests: SeenRequest[];
  /** Called for every request. A test may replace it. */
  answer: (request: SeenRequest) => ScriptedResponse | Promise<ScriptedResponse>;
}

export async function startScriptedProvider(
  cleanup: Cleanup,
  answer: ScriptedProvider['answer'] = () => ({ status: 404 }),
): Promise<ScriptedProvider> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      const url = new URL(request.url ?? '/', 'http://provider');
      const body = Buffer.concat(chunks).toString();
      const seen = {
        method: request.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: request.headers,
        body,
        form: new URLSearchParams(body),
      };
      provider.requests.push(seen);
      const answered = await provider.answer(seen);
      if (answered === 'hang') return;
      if (answered === 'cut') return void request.socket.destroy();
      const text = typeof answered.body === 'object' ? JSON.stringify(answered.body) : (answered.body ?? '');
      response.writeHead(answered.status ?? 200, { 'content-type': 'application/json', ...answered.headers }).end(text);
    });
  });
  const port = await listen(cleanup, server);
  const provider: ScriptedProvider = { url: `http://localhost:${port}`, requests: [], answer };
  return provider;
}

/** An integration of the scripted provider, as YAML at the depth of `integrations`. */
export function scriptedIntegration(
  url: string,
  { name = 'acme', auth = '', settings = '' }: { name?: string; auth?: string; settings?: string } = {},
): string {
  return `
  ${name}:
    oauth_client_id: client-1
    oauth_client_secret: client-secret-CANARY-7f3a
    oauth_scopes: [read, write]
${settings}
    auth:
      auth_mode: OAUTH2
      authorization_url: ${url}/authorize
      token_url: ${url}/token
${auth}
    requests:
      base_url: ${url}/api/
      headers:
        Authorization: Bearer \${access_token}
`;
}
