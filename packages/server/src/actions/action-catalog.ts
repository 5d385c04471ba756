import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { NangoAction, type ActionHost } from '@nangohq/action';
import { NangoError } from '../errors/nango-error.ts';
import { suggest } from '../schema/suggest.ts';
import { plainNameSchema } from '../schema/plain-name.ts';
import { actionClassName, shortName } from './action-name.ts';

const SUFFIX = '.action.ts';

/** Creates an Action for one run. */
type CreateAction = (host: ActionHost) => NangoAction;

/** An Action that can be run. */
export interface LoadedAction {
  readonly create: CreateAction;
  /** Maps a stack to the lines of the Action's sources. */
  readonly mapStack: (stack: string) => string;
  /** Modification times of all files that it was compiled from, by path. */
  readonly modificationTimes: ReadonlyMap<string, number>;
}

/** Finds and compiles the Actions of a Nango folder. An edited Action is compiled again at its next run. */
export class ActionCatalog {
  readonly #folder: string;
  readonly #loaded = new Map<string, LoadedAction>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Returns a compiled Action. Throws `action_not_found` and `action_invalid`. */
  async load(integration: string, action: string): Promise<LoadedAction> {
    const file = await this.#find(integration, action);
    const loaded = this.#loaded.get(file);
    if (loaded && (await isCurrent(loaded))) return loaded;
    // Read before the compilation, so that an edit during the compilation is noticed at the next run.
    // oxlint-disable-next-line no-restricted-properties -- Compared with times of files, which the system clock sets.
    const compiledAt = Date.now();
    // The compiler is loaded with the first Action, because many servers have none.
    const { compileAction } = await import('./compile-action.ts');
    const { exports, files, mapStack } = await compileAction(file);
    const create = findActionClass(exports, { file, className: actionClassName(integration, action) });
    const compiled = { create, mapStack, modificationTimes: await readModificationTimes(files, compiledAt) };
    this.#loaded.set(file, compiled);
    return compiled;
  }

  /** Returns the names of an Integration's Actions. */
  async list(integration: string): Promise<string[]> {
    const entries = await readdir(join(this.#folder, integration)).catch(() => []);
    return entries
      .filter((entry) => entry.endsWith(SUFFIX))
      .map((entry) => entry.slice(0, -SUFFIX.length))
      .sort();
  }

  async #find(integration: string, action: string): Promise<string> {
    const names = await this.list(integration);
    // Only a name from the folder's listing becomes a part of a path.
    if (plainNameSchema.safeParse(action).success && names.includes(action))
      return join(this.#folder, integration, `${action}${SUFFIX}`);
    const list = names.length > 0 ? ` Its Actions: ${names.join(', ')}.` : '';
    throw new NangoError(
      'action_not_found',
      `"${integration}" has no Action "${action}".${suggest(action, names)}${list}`,
    );
  }
}

function findActionClass(
  exports: Record<string, unknown>,
  { file, className }: { file: string; className: string },
): CreateAction {
  const exported = exports[className];
  if (isActionClass(exported)) return (host) => new exported(host);
  const found = Object.keys(exports);
  const what =
    exported === undefined
      ? `exports no class ${className}`
      : `exports ${className}, which does not extend NangoAction`;
  throw new NangoError(
    'action_invalid',
    `${shortName(file)} ${what}. Its exports: ${found.length > 0 ? found.join(', ') : 'none'}.`,
  );
}

function isActionClass(value: unknown): value is new (host: ActionHost) => NangoAction {
  return typeof value === 'function' && value.prototype instanceof NangoAction;
}

async function readModificationTimes(files: readonly string[], compiledAt: number): Promise<Map<string, number>> {
  const modificationTimes = await Promise.all(
    files.map(async (file): Promise<[string, number]> => [file, Math.min(await modifiedAt(file), compiledAt)]),
  );
  return new Map(modificationTimes);
}

async function isCurrent({ modificationTimes }: LoadedAction): Promise<boolean> {
  const checks = await Promise.all(
    [...modificationTimes].map(async ([file, time]) => (await modifiedAt(file)) === time),
  );
  return checks.every(Boolean);
}

async function modifiedAt(file: string): Promise<number> {
  return (await stat(file).catch(() => undefined))?.mtimeMs ?? -1;
}
