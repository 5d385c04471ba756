import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { BlueprintCatalog } from './blueprint-catalog.ts';
import { CATEGORIES, latestVersion } from './blueprint-file.ts';

/** The schema of a Blueprint in a list. */
export const blueprintSummarySchema = z.object({
  name: z.string(),
  displayName: z.string(),
  categories: z.array(z.enum(CATEGORIES)),
  authMode: z.string().describe('The auth mode of the latest version'),
  versions: z.array(z.string()),
  docsUrl: z.string(),
  verified: z
    .object({ by: z.enum(['sources', 'sandbox', 'live']), date: z.string(), sources: z.array(z.string()) })
    .nullable()
    .describe('The sources of the facts in the Blueprint'),
});

/** A Blueprint in a list. */
export type BlueprintSummary = z.output<typeof blueprintSummarySchema>;

const INDEX_FILE = 'index.json';

/** Searches the catalog. Its index is generated when the package is built, so a search reads only one file. */
export class BlueprintIndex {
  readonly #folder: string;
  #summaries: Promise<readonly BlueprintSummary[]> | undefined;

  /** `folder` is the catalog's. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Returns the Blueprints whose name, provider or categories contain every word; without words, all. */
  async search(words: readonly string[], category?: string): Promise<BlueprintSummary[]> {
    this.#summaries ??= readIndex(join(this.#folder, INDEX_FILE));
    const wanted = words.map((word) => word.toLowerCase());
    return (await this.#summaries).filter(({ name, displayName, categories }) => {
      const text = [name, displayName, ...categories].join(' ').toLowerCase();
      return (
        wanted.every((word) => text.includes(word)) &&
        (category === undefined || categories.some((one) => one === category))
      );
    });
  }
}

async function readIndex(path: string): Promise<BlueprintSummary[]> {
  return z.array(blueprintSummarySchema).parse(JSON.parse(await readFile(path, 'utf8')));
}

/** Builds the index of a folder of Blueprints. Throws if one is invalid. */
export async function buildIndex(folder: string, catalog: BlueprintCatalog): Promise<BlueprintSummary[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.yaml')).toSorted();
  return Promise.all(files.map((file) => summaryOf(file.slice(0, -'.yaml'.length), catalog)));
}

async function summaryOf(name: string, catalog: BlueprintCatalog): Promise<BlueprintSummary> {
  const read = await catalog.file(name);
  const found = await catalog.find(name);
  if (!('file' in read) || !('auth' in found))
    throw new Error(`The Blueprint ${name} is invalid. List its faults with: nango blueprints check`);
  const { file } = read;
  const versions = Object.keys(file.versions);
  return {
    name,
    displayName: file.display_name,
    categories: file.categories ?? [],
    authMode: typeof found.auth['auth_mode'] === 'string' ? found.auth['auth_mode'] : '',
    versions: versions.toSorted((one, other) => (latestVersion([one, other]) === one ? 1 : -1)),
    docsUrl: file.docs_url,
    verified: file.verified ?? null,
  };
}
