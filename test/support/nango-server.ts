import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import Nango from '@nangohq/node-client';
import type { TracingSettings } from '../../packages/server/src/config/settings.ts';
import { createLog } from '../../packages/server/src/observability/log.ts';
import { startServer, type RunningServer } from '../../packages/server/src/start.ts';
import { undocumented } from './documented-responses.ts';
import { freePort } from './free-port.ts';
import { secret } from './secrets.ts';
import { temporaryFolder, type Cleanup } from './temporary-folder.ts';

export const SECRET_KEY = 'test-secret-key-CANARY-a1b2c3';
export const ENCRYPTION_KEY = Buffer.alloc(32, 7).toString('base64');

// Providers of tests are on this machine, so this network is allowed unless a test sets the list itself.
const LOOPBACK_ALLOWED = /allowed_private_networks/;

export interface TestServerOptions {
  /** The text of integrations.yaml. */
  readonly integrations: string;
  /** More files of the Nango folder. */
  readonly files?: Record<string, string>;
  /** Lines for nango-config.yaml in addition to port and root URL. */
  readonly config?: string;
  readonly rootUrl?: string;
  /** Default: any free port. */
  readonly port?: number;
  readonly databaseUrl?: string | undefined;
  readonly environment?: Record<string, string>;
  readonly now?: () => number;
  readonly delay?: (milliseconds: number) => Promise<unknown>;
  readonly dataDirectory?: string;
  readonly tracing?: TracingSettings;
}

/** A server in this process on a free port, and clients for it. */
export interface TestServer {
  readonly url: string;
  readonly folder: string;
  readonly dataDirectory: string;
  readonly nango: Nango;
  readonly running: RunningServer;
  /** The log up to now. */
  log(): string;
  api(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: unknown; headers: Headers }>;
}

export async function startTestServer(cleanup: Cleanup, options: TestServerOptions): Promise<TestServer> {
  const port = options.port ?? (await freePort());
  const rootUrl = options.rootUrl ?? `http://localhost:${port}`;
  const folder = temporaryFolder(cleanup, {
    'nango-config.yaml':
      `oauth_server_port: ${port}\noauth_server_root_url: ${rootUrl}\nmain_server_log_level: debug\n` +
      (LOOPBACK_ALLOWED.test(options.config ?? '') ? '' : 'allowed_private_networks: [127.0.0.0/8, ::1/128]\n') +
      (options.config ?? ''),
    'integrations.yaml': options.integrations,
    ...options.files,
  });
  const dataDirectory = options.dataDirectory ?? join(temporaryFolder(cleanup), 'data');
  const undocumentedResponses = new Set<string>();
  let logged = '';
  const log = createLog(
    'debug',
    new Writable({ decodeStrings: false, write: (chunk, _encoding, done) => ((logged += String(chunk)), done()) }),
  );
  const running = await startServer({
    settings: {
      folder,
      dataDirectory,
      databaseUrl: options.databaseUrl === undefined ? undefined : secret(options.databaseUrl),
      encryptionKey: secret(ENCRYPTION_KEY),
      encryptionKeyFile: undefined,
      encryptionKeyCommand: undefined,
      secretKey: secret(SECRET_KEY),
      host: 'localhost',
      port: undefined,
      environment: (name) => options.environment?.[name],
      tracing: options.tracing,
    },
    log,
    beforeRoutes: async (app) => {
      app.addHook('onSend', async ({ method, routeOptions }, reply, payload) => {
        const contentType = reply.getHeader('content-type');
        const fault = undocumented({
          method,
          route: routeOptions.url,
          status: reply.statusCode,
          contentType: typeof contentType === 'string' ? contentType : undefined,
          body: payload,
        });
        if (fault !== undefined) undocumentedResponses.add(fault);
      });
    },
    ...(options.now ? { now: options.now } : {}),
    ...(options.delay ? { delay: options.delay } : {}),
  });
  const url = `http://localhost:${port}`;
  const nango = new Nango({ serverUrl: url, secretKey: SECRET_KEY });
  cleanup.after(async () => {
    nango.close();
    await running.close();
    // Every response in every test has to match the OpenAPI document.
    assert.deepEqual([...undocumentedResponses], []);
  });
  return {
    url,
    folder,
    dataDirectory,
    nango,
    running,
    log: () => logged,
    async api(method, path, body, headers = {}) {
      const response = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${SECRET_KEY}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
        redirect: 'manual',
      });
      const text = await response.text();
      const route = routePastRouter(path, response.headers);
      const contentType = response.headers.get('content-type') ?? undefined;
      const fault = route && undocumented({ method, route, status: response.status, contentType, body: text });
      if (fault !== undefined) undocumentedResponses.add(fault);
      return {
        status: response.status,
        headers: response.headers,
        body: text.startsWith('{') ? JSON.parse(text) : text,
      };
    },
  };
}

/** The route of a response that the router’s hooks do not see: proxy errors and cached credentials. */
function routePastRouter(path: string, headers: Headers): string | undefined {
  if (path.startsWith('/proxy/')) return headers.has('nango-error') ? '/proxy/{endpoint}' : undefined;
  return path.startsWith('/api/connection?') ? '/api/connection' : undefined;
}
