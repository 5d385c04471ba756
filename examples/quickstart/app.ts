import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import fastify from 'fastify';
import Nango, { NangoClientError } from '@nangohq/node-client';

// A real application knows which user is signed in. This one has a single user.
const USER_ID = '1';
const INTEGRATION = 'sandbox';

export interface AppOptions {
  readonly port: number;
  readonly serverUrl: string;
  readonly secretKey: string;
}

/** The sample application: a back end on the node SDK and one page on the frontend SDK. */
export async function startApp({ port, serverUrl, secretKey }: AppOptions): Promise<{ close(): Promise<void> }> {
  const nango = new Nango({ serverUrl, secretKey });
  const app = fastify();
  const page = (await readFile(join(import.meta.dirname, 'public/index.html'), 'utf8')).replaceAll(
    '%NANGO_URL%',
    serverUrl,
  );
  const sdk = await readFile(
    join(dirname(createRequire(import.meta.url).resolve('@nangohq/frontend/package.json')), 'dist/nango.js'),
    'utf8',
  );

  app.get('/', (_request, reply) => reply.type('text/html; charset=utf-8').send(page));
  app.get('/nango.js', (_request, reply) => reply.type('text/javascript; charset=utf-8').send(sdk));

  const reader = new ConnectionReader(nango);
  app.get('/connection', () => reader.read());

  app.post('/notes', async (_request, reply) => {
    try {
      return (await nango.triggerAction(INTEGRATION, 'list-notes', USER_ID, { limit: 3 })).returnValue;
    } catch (error) {
      if (!(error instanceof NangoClientError)) throw error;
      return reply.code(502).send({ error: error.errorMsg, type: error.type });
    }
  });

  app.delete('/connection', async () => (await nango.deleteConnection(INTEGRATION, USER_ID)).success);

  await app.listen({ port, host: 'localhost' });
  return {
    async close() {
      nango.close();
      await app.close();
    },
  };
}

/** Reads the connection only after an event has reported a change, because the server audits every read. */
class ConnectionReader {
  readonly #nango: Nango;
  #cursor: string | undefined;
  #cached: object | undefined;

  constructor(nango: Nango) {
    this.#nango = nango;
  }

  async read(): Promise<object> {
    if (await this.#hasChanged()) this.#cached = undefined;
    this.#cached ??= await this.#load();
    return this.#cached;
  }

  async #hasChanged(): Promise<boolean> {
    let changed = false;
    for (;;) {
      const { events, nextCursor, hasMore } = (await this.#nango.getEvents({ cursor: this.#cursor })).returnValue;
      this.#cursor = nextCursor;
      changed ||= events.length > 0;
      if (!hasMore) return changed;
    }
  }

  async #load(): Promise<object> {
    try {
      const { returnValue } = await this.#nango.getConnection(INTEGRATION, USER_ID);
      const { credentials, ...connection } = returnValue;
      return {
        connection,
        token: { fingerprint: fingerprint(String(credentials['access_token'])), expiresAt: credentials['expires_at'] },
      };
    } catch (error) {
      if (!(error instanceof NangoClientError)) throw error;
      return { connection: null, reason: error.type };
    }
  }
}

/** Shows that the token changed without showing the token. */
function fingerprint(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 8);
}
