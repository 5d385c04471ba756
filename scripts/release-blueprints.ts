import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlueprintCatalog } from '../packages/server/src/catalog/blueprint-catalog.ts';
import { blueprintDigest } from '../packages/server/src/catalog/blueprint-digest.ts';
import { BlueprintIndex } from '../packages/server/src/catalog/blueprint-index.ts';

// Freezes the contents of each Blueprint version. Run it for a release. If a frozen version has changed, the script
// names that version and writes nothing, because a changed fact needs a new version.
const folder = join(import.meta.dirname, '../packages/server/blueprints');
const path = join(folder, 'released.json');
const released = JSON.parse(await readFile(path, 'utf8')) as Record<string, string>;
const catalog = new BlueprintCatalog([folder]);
const changed: string[] = [];
let added = 0;
for (const { name, versions } of await new BlueprintIndex(folder).search([])) {
  for (const version of versions) {
    const reference = `${name}:${version}`;
    const found = await catalog.find(reference);
    if (!('source' in found)) throw new Error(`${reference} is not valid. Run: nango blueprints check`);
    const digest = blueprintDigest(found);
    if (released[reference] === undefined) added += 1;
    else if (released[reference] !== digest) changed.push(reference);
    released[reference] ??= digest;
  }
}
if (changed.length > 0) {
  process.stderr.write(`These versions changed after their release: ${changed.join(', ')}. Make each a new version.\n`);
  process.exitCode = 1;
} else {
  const sorted = Object.fromEntries(Object.entries(released).toSorted(([one], [other]) => (one < other ? -1 : 1)));
  await writeFile(path, `${JSON.stringify(sorted, null, 2)}\n`);
  process.stdout.write(`${added} versions are frozen from now on, ${Object.keys(sorted).length} in all.\n`);
}
