import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../packages/server/src/config/load-config.ts';
import { BlueprintIndex } from '../packages/server/src/catalog/blueprint-index.ts';
import { CATALOG_FOLDER } from '../packages/server/src/package-files.ts';

// Compares the load of ten OAuth Integrations with and without Blueprints, and measures a search of the whole catalog.
// The server reads only the Blueprints that are used, so the bar of 20 ms does not depend on the size of the catalog.
const USED = ['slack', 'google', 'github', 'hubspot', 'notion', 'salesforce', 'stripe', 'shopify', 'zoho-crm', 'jira'];
const BAR_MS = 20;
const ROUNDS = 15;
const URLS = 'authorization_url: https://a.example/authorize, token_url: https://a.example/token';
const CLIENT = 'oauth_client_id: id, oauth_client_secret: s, oauth_scopes: []';
const own = `${CLIENT}, auth: { auth_mode: OAUTH2, ${URLS} }, requests: { base_url: https://api.example/ }`;

const without = await load(USED.map((name) => `  ${name}: { ${own} }\n`));
const extending = await load(USED.map((name) => `  ${name}: { extends_blueprint: ${name}, ${CLIENT} }\n`));
const search = await median(() => new BlueprintIndex(CATALOG_FOLDER).search(['crm']));
const cost = extending - without;
process.stdout.write(`load without a Blueprint   ${without.toFixed(1)} ms\n`);
process.stdout.write(`load that uses ten        ${extending.toFixed(1)} ms\n`);
process.stdout.write(
  `of which the catalog      ${cost.toFixed(1)} ms   bar ≤ ${BAR_MS}   ${cost <= BAR_MS ? 'met' : 'MISSED'}\n`,
);
process.stdout.write(`search of the whole       ${search.toFixed(1)} ms\n`);
process.exitCode = cost <= BAR_MS ? 0 : 1;

async function load(integrations: readonly string[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'nango-bench-'));
  writeFileSync(join(folder, 'integrations.yaml'), `integrations:\n${integrations.join('')}`);
  try {
    return await median(() => loadConfig({ folder, catalog: CATALOG_FOLDER, environment: () => undefined }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function median(run: () => Promise<unknown>): Promise<number> {
  const taken: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const started = performance.now();
    await run();
    taken.push(performance.now() - started);
  }
  return taken.toSorted((one, other) => one - other)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
}
