import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { suggest } from '../schema/suggest.ts';
import { blueprintFileSchema, latestVersion, type BlueprintFile } from './blueprint-file.ts';
import { isMap } from '../sources/deep-merge.ts';
import type { ConfigFault, KeyPath } from '../sources/config-fault.ts';
import { mergeSections } from '../sources/merge-sections.ts';
import { readSourceFile } from '../sources/read-source-file.ts';
import type { SourceFile } from '../sources/source-file.ts';
import { validateFile } from '../sources/validate.ts';

/** One version of a Blueprint, with its file. */
export interface Blueprint {
  readonly name: string;
  readonly version: string;
  readonly auth: Record<string, unknown>;
  readonly config: Record<string, unknown> | undefined;
  readonly requests: Record<string, unknown>;
  readonly source: SourceFile;
  /** Whether it is the user's own; otherwise it is the catalog's. */
  readonly isOwn: boolean;
  /** The place of the version in its file. */
  readonly path: KeyPath;
}

/** Why a Blueprint is unavailable: a message about the reference, or faults in the Blueprint's own file. */
export type BlueprintFailure =
  | { readonly message: string; readonly faults?: undefined }
  | { readonly faults: readonly ConfigFault[]; readonly message?: undefined };

/** The key of a file whose value references a Blueprint. */
interface ReferencePlace {
  readonly source: SourceFile;
  readonly path: KeyPath;
}

interface ReadFile {
  readonly file: BlueprintFile;
  readonly source: SourceFile;
  readonly isOwn: boolean;
}

/**
 * Finds Blueprints by reference. The user's own folder takes precedence over the catalog. Only requested files are
 * read.
 */
export class BlueprintCatalog {
  readonly #folders: readonly string[];
  /** Each file is read and validated once, because many Integrations and Blueprints may extend one. */
  readonly #reads = new Map<string, Promise<ReadFile | BlueprintFailure>>();

  /** `folders` in order of precedence. */
  constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  /** Finds a version of a Blueprint. `reference` is `name` (latest version) or `name:version`. */
  async find(reference: string): Promise<Blueprint | BlueprintFailure> {
    return this.#find(reference, []);
  }

  /**
   * Finds the version that a key of a file references, as {@link BlueprintCatalog.find} does. Adds faults to `faults`
   * and returns undefined if it is unavailable.
   */
  async findReferenced(
    reference: string,
    { faults, ...place }: ReferencePlace & { readonly faults: ConfigFault[] },
  ): Promise<Blueprint | undefined> {
    const found = await this.find(reference);
    if ('source' in found) return found;
    faults.push(...faultsAt(place, found));
    return undefined;
  }

  /** Returns a Blueprint's file, for display. */
  async file(name: string): Promise<{ file: BlueprintFile; isOwn: boolean } | BlueprintFailure> {
    const read = await this.#read(name);
    return 'file' in read ? { file: read.file, isOwn: read.isOwn } : read;
  }

  async #find(reference: string, chain: readonly string[]): Promise<Blueprint | BlueprintFailure> {
    const [name = '', version] = reference.split(':');
    const read = await this.#read(name);
    if (!('file' in read)) return read;
    const { file, source, isOwn } = read;
    const versionName = version ?? latestVersion(Object.keys(file.versions)) ?? '';
    const found = file.versions[versionName];
    if (!found)
      return { message: `names version "${versionName}", but ${name} has ${Object.keys(file.versions).join(', ')}` };
    const path = ['versions', versionName];
    const { auth = {}, config, requests = {}, extends: baseReference } = found;
    const own = { name, version: versionName, auth, config, requests, source, isOwn, path };
    if (baseReference === undefined) return own;
    const place = { source, path: [...path, 'extends'] };
    if (chain.includes(baseReference))
      return { faults: faultsAt(place, { message: `extends itself: ${[...chain, baseReference].join(', ')}` }) };
    const base = await this.#find(baseReference, [...chain, `${name}:${versionName}`, baseReference]);
    if (!('source' in base)) return { faults: faultsAt(place, base) };
    return { ...own, ...mergeBlueprint(base, own), isOwn: isOwn || base.isOwn };
  }

  #read(name: string): Promise<ReadFile | BlueprintFailure> {
    const reading = this.#reads.get(name) ?? this.#readFile(name);
    this.#reads.set(name, reading);
    return reading;
  }

  /** Reads a Blueprint's file from the first folder that has it, and validates all of it. */
  async #readFile(name: string): Promise<ReadFile | BlueprintFailure> {
    for (const folder of this.#folders) {
      const source = await readSourceFile(join(folder, `${name}.yaml`));
      if (!source) continue;
      const faults: ConfigFault[] = [];
      const file = validateFile(blueprintFileSchema, source, faults);
      if (!file || faults.length > 0) return { faults };
      if (file.name !== name)
        return { faults: faultsAt({ source, path: ['name'] }, { message: `must be "${name}", the file’s name` }) };
      return { file, source, isOwn: folder !== this.#folders.at(-1) };
    }
    return { message: `names a Blueprint that does not exist.${suggest(name, await this.#names())}` };
  }

  async #names(): Promise<string[]> {
    const lists = await Promise.all(this.#folders.map((folder) => readdir(folder).catch(() => [])));
    return lists
      .flat()
      .filter((file) => file.endsWith('.yaml'))
      .map((file) => file.slice(0, -'.yaml'.length));
  }
}

/** Returns a failure as faults. A message about a reference becomes a fault of the key that references. */
function faultsAt({ source, path }: ReferencePlace, { message, faults }: BlueprintFailure): readonly ConfigFault[] {
  return faults ?? [{ ...source.positionOf(path), path, message }];
}

/** Merges a version over the version that it extends. The rules are those of an Integration and its Blueprint. */
function mergeBlueprint(base: Blueprint, own: Blueprint): Pick<Blueprint, 'auth' | 'config' | 'requests'> {
  const { auth, config, requests } = mergeSections(base, own);
  return {
    auth: asMap(auth),
    config: own.config || base.config ? asMap(config) : undefined,
    requests: asMap(requests),
  };
}

function asMap(value: unknown): Record<string, unknown> {
  return isMap(value) ? value : {};
}
