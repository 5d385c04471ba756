import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suggest } from '../schema/suggest.ts';
import { blueprintFileSchema, latestVersion, type BlueprintFile } from './blueprint-file.ts';
import { deepMerge, isMap, mergeHeaders } from './deep-merge.ts';
import { shownPath, type ConfigFault, type KeyPath } from './config-fault.ts';
import { parseSourceFile, type SourceFile } from './source-file.ts';
import { validate } from './validate.ts';

/** One version of a Blueprint, with the file it came from. */
export interface Blueprint {
  readonly name: string;
  readonly version: string;
  readonly auth: Record<string, unknown>;
  readonly config: Record<string, unknown> | undefined;
  readonly requests: Record<string, unknown>;
  readonly source: SourceFile;
  /** Whether it is the user's own, and not the catalog's. */
  readonly isOwn: boolean;
  /** Where the version is in its file. */
  readonly path: KeyPath;
}

/** Why a Blueprint is unavailable: a sentence about the reference, or faults in the Blueprint's own file. */
export interface BlueprintFailure {
  readonly message?: string;
  readonly faults?: readonly ConfigFault[];
}

interface ReadBlueprint {
  readonly source: SourceFile;
  readonly isOwn: boolean;
}

/**
 * Finds Blueprints by reference. The user's own folder takes precedence over the catalog. Only the files in use are
 * read.
 */
export class BlueprintCatalog {
  readonly #folders: readonly string[];
  /** Each file is read once, because many Blueprints may extend one. */
  readonly #reads = new Map<string, Promise<ReadBlueprint | undefined>>();

  /** `folders` in order of precedence. */
  constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  /** `reference` is `name` (latest version) or `name:version`. */
  async find(reference: string): Promise<Blueprint | BlueprintFailure> {
    return this.#find(reference, []);
  }

  /** A Blueprint's file, for display. */
  async file(name: string): Promise<{ file: BlueprintFile; isOwn: boolean } | BlueprintFailure> {
    const read = await this.#read(name);
    if (!read) return { message: `names a Blueprint that does not exist.${suggest(name, await this.#names())}` };
    const { source, isOwn } = read;
    const faults = [...source.faults];
    const located = { path: [], locate: (path: KeyPath) => source.positionOf(path) };
    const file = faults.length > 0 ? undefined : validate(blueprintFileSchema, source.data, located, faults);
    return file ? { file, isOwn } : { faults };
  }

  async #find(reference: string, extending: readonly string[]): Promise<Blueprint | BlueprintFailure> {
    const [name = '', version] = reference.split(':');
    const read = await this.#read(name);
    if (!read) return { message: `names a Blueprint that does not exist.${suggest(name, await this.#names())}` };
    const { source, isOwn } = read;
    const faults = [...source.faults];
    const file =
      faults.length > 0
        ? undefined
        : validate(blueprintFileSchema, source.data, { path: [], locate: (path) => source.positionOf(path) }, faults);
    if (!file) return { faults };
    if (file.name !== name)
      return {
        faults: [{ ...source.positionOf(['name']), path: ['name'], message: `must be "${name}", the file’s name` }],
      };
    const wanted = version ?? latestVersion(Object.keys(file.versions)) ?? '';
    const found = file.versions[wanted];
    if (!found)
      return { message: `names version "${wanted}", but ${name} has ${Object.keys(file.versions).join(', ')}` };
    const path = ['versions', wanted];
    const { auth = {}, config, requests = {}, extends: base } = found;
    const own = { name, version: wanted, auth, config, requests, source, isOwn, path };
    if (base === undefined) return own;
    const fault = (message: string) => ({
      faults: [{ ...source.positionOf([...path, 'extends']), path: [...path, 'extends'], message }],
    });
    if (extending.includes(base)) return fault(`leads back to itself: ${[...extending, base].join(', ')}`);
    const under = await this.#find(base, [...extending, `${name}:${wanted}`, base]);
    if (!('source' in under)) return under.faults ? under : fault(under.message ?? '');
    return { ...own, ...mergeBlueprint(under, own), isOwn: isOwn || under.isOwn };
  }

  #read(name: string): Promise<ReadBlueprint | undefined> {
    const reading = this.#reads.get(name) ?? this.#readFile(name);
    this.#reads.set(name, reading);
    return reading;
  }

  async #readFile(name: string): Promise<ReadBlueprint | undefined> {
    for (const folder of this.#folders) {
      const path = join(folder, `${name}.yaml`);
      const text = await readIfPresent(path);
      if (text === undefined) continue;
      const source = parseSourceFile(shownPath(path), text);
      return { source, isOwn: folder !== this.#folders.at(-1) };
    }
    return undefined;
  }

  async #names(): Promise<string[]> {
    const lists = await Promise.all(this.#folders.map((folder) => readdir(folder).catch(() => [])));
    return lists
      .flat()
      .filter((file) => file.endsWith('.yaml'))
      .map((file) => file.slice(0, -'.yaml'.length));
  }
}

/** Merges one version over the version that it extends, as an Integration is merged over a Blueprint. */
function mergeBlueprint(under: Blueprint, own: Blueprint): Pick<Blueprint, 'auth' | 'config' | 'requests'> {
  const requests = deepMerge(under.requests, own.requests);
  return {
    auth: asMap(deepMerge(under.auth, own.auth)),
    config: own.config || under.config ? asMap(deepMerge(under.config, own.config)) : undefined,
    requests: { ...asMap(requests), headers: mergeHeaders(under.requests['headers'], own.requests['headers']) },
  };
}

function asMap(value: unknown): Record<string, unknown> {
  return isMap(value) ? value : {};
}

/** A file's text; undefined if the file does not exist. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return undefined;
    throw error;
  }
}
