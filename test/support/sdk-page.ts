import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { listen } from './listen.ts';
import type { Cleanup } from './temporary-folder.ts';

const SDK = readFileSync(join(import.meta.dirname, '../../packages/frontend/dist/nango.js'), 'utf8');

/** An application whose every page has the frontend SDK as `nango`. */
export interface SdkPage {
  readonly origin: string;
  /** Paths and queries of the pages that were requested. */
  readonly visited: string[];
}

/** Serves pages with the frontend SDK. `connect(script)` on them shows the outcome of an expression in `#out`. */
export async function serveSdkPage(cleanup: Cleanup, root: string): Promise<SdkPage> {
  const visited: string[] = [];
  const page = `<!doctype html><title>App</title><pre id="out"></pre>
<script src="/nango.js"></script>
<script>
const nango = new Nango(${JSON.stringify(root)});
function show(promise) {
  out.textContent = '';
  promise.then(
    (result) => { out.textContent = JSON.stringify(result); },
    ({ error, integrationName }) => { out.textContent = JSON.stringify({ ...error, integrationName }); },
  );
}
</script>`;
  const server = createServer(({ url = '' }, response) => {
    if (url === '/nango.js') return void response.writeHead(200, { 'content-type': 'text/javascript' }).end(SDK);
    if (url !== '/favicon.ico') visited.push(url);
    response.writeHead(200, { 'content-type': 'text/html' }).end(page);
  });
  const port = await listen(cleanup, server);
  return { origin: `http://localhost:${port}`, visited };
}
