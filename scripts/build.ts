import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build, type BuildOptions } from 'esbuild';
import serverManifest from '../packages/server/package.json' with { type: 'json' };

// Builds every package: esbuild makes the JavaScript, TypeScript the declarations.
const root = join(import.meta.dirname, '..');
const run = promisify(execFile);

const common: BuildOptions = { bundle: true, sourcemap: true, logLevel: 'warning', legalComments: 'none' };
const node: BuildOptions = { ...common, platform: 'node', target: 'node24', packages: 'external' };
// Uses no API of one runtime, so that it runs on Node 20, Bun, Deno and edge runtimes.
const client: BuildOptions = { ...common, platform: 'neutral', target: 'es2022' };
const at = (...path: string[]) => join(root, 'packages', ...path);

const bundles: BuildOptions[] = [
  { ...node, format: 'esm', entryPoints: [at('action/src/index.ts')], outfile: at('action/dist/index.js') },
  { ...client, format: 'esm', entryPoints: [at('node-client/src/index.ts')], outfile: at('node-client/dist/index.js') },
  {
    ...client,
    format: 'cjs',
    entryPoints: [at('node-client/src/index.ts')],
    outfile: at('node-client/dist/index.cjs'),
  },
  {
    ...common,
    format: 'esm',
    target: 'es2022',
    minify: true,
    entryPoints: [at('frontend/src/index.ts')],
    outfile: at('frontend/dist/index.js'),
  },
  {
    ...common,
    format: 'cjs',
    target: 'es2022',
    minify: true,
    entryPoints: [at('frontend/src/index.ts')],
    outfile: at('frontend/dist/index.cjs'),
  },
  {
    ...common,
    format: 'iife',
    target: 'es2022',
    minify: true,
    globalName: 'Nango',
    // A plain script tag gets the class itself, like `import Nango from`.
    footer: { js: 'Nango = Nango.default;' },
    entryPoints: [at('frontend/src/index.ts')],
    outfile: at('frontend/dist/nango.js'),
  },
  {
    ...node,
    format: 'esm',
    // The bundle contains our own packages, so that the server installs without them. It also contains Kysely, whose
    // hundreds of small modules take 12 MB more memory if they are loaded separately.
    packages: 'bundle',
    external: Object.keys(serverManifest.dependencies),
    // Code that only some servers need (pg, the Action compiler) is a separate chunk that is loaded on demand.
    splitting: true,
    entryPoints: { cli: at('server/src/cli/main.ts') },
    outdir: at('server/dist'),
  },
];

async function declarations(name: string): Promise<void> {
  const flags = [
    '--noEmit',
    'false',
    '--emitDeclarationOnly',
    '--declaration',
    '--rootDir',
    at(name, 'src'),
    '--outDir',
    at(name, 'dist'),
  ];
  await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', at(name), ...flags]);
}

const names = ['action', 'frontend', 'node-client', 'server'];
await Promise.all(names.map((name) => rm(at(name, 'dist'), { recursive: true, force: true })));
await Promise.all(bundles.map((options) => build(options)));
await copyFile(join(root, 'node_modules/kysely/LICENSE'), at('server/dist/LICENSE-kysely.txt'));
// Only packages that leave the workspace need declarations. Inside it, the compiler reads the sources.
if (process.argv.includes('--types')) {
  await Promise.all(['action', 'frontend', 'node-client'].map(declarations));
  await writeCommonJsDeclarations(at('node-client/dist'));
  await writeCommonJsDeclarations(at('frontend/dist'));
}

/** Writes each module's declarations for `import` and for `require`. The compiler leaves the `.ts` names in them. */
async function writeCommonJsDeclarations(folder: string): Promise<void> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.d.ts'));
  for (const file of files) {
    const text = await readFile(join(folder, file), 'utf8');
    const importing = (extension: string) => text.replaceAll(/'(\.\/[\w-]+)\.ts'/g, `'$1.${extension}'`);
    await writeFile(join(folder, file), importing('js'));
    await writeFile(join(folder, file.replace(/\.d\.ts$/, '.d.cts')), importing('cjs'));
  }
}
