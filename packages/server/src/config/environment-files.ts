import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import type { Environment } from '../schema/fields.ts';

const DEFAULT_FILE = '.env';
/** Variables that may be the application's if they are in `.env` beside the Nango folder. */
const NOT_FROM_DEFAULT_FILE = ['DATABASE_URL'];

/** Environment variables of the process. Files supply the variables that the process lacks. */
export interface EnvironmentFiles {
  /** The files, whether or not they exist. */
  readonly paths: readonly string[];
  readonly get: Environment;
  /** Notices for the operator about the files; never a value. */
  readonly notices: readonly string[];
  /** Reads the files again. If it throws `file_unreadable`, the earlier values stay. */
  reload(): void;
}

/** Which files are read, and the variables that take precedence over them. */
export interface EnvironmentFilesOptions {
  /** The Nango folder. */
  readonly folder: string;
  /**
   * Files of --env-file; later files take precedence. Without any, `.env` beside the Nango folder is read if it exists.
   */
  readonly named: readonly string[] | undefined;
  /** Variables of the process. They take precedence over files. */
  readonly processEnvironment: NodeJS.ProcessEnv;
}

/** Reads the files. Throws `file_unreadable` for a file that cannot be read, or that was named and does not exist. */
export function openEnvironmentFiles({ folder, named, processEnvironment }: EnvironmentFilesOptions): EnvironmentFiles {
  const isDefault = named === undefined || named.length === 0;
  const paths = isDefault ? [join(folder, '..', DEFAULT_FILE)] : named.map((path) => resolve(path));
  const ownedByOthers = isDefault ? paths.filter((path) => existsSync(path) && !isOwn(path)) : [];
  const isRead = (path: string) => !isDefault || (existsSync(path) && isOwn(path));
  const read = () => paths.map((path) => (isRead(path) ? readVariables(path) : {}));
  let files = read();
  const ignored = isDefault ? NOT_FROM_DEFAULT_FILE : [];
  const unused = ignored.filter(
    (name) => processEnvironment[name] === undefined && files.some((variables) => variables[name] !== undefined),
  );
  return {
    paths,
    get: (name) => {
      if (processEnvironment[name] !== undefined) return processEnvironment[name];
      if (ignored.includes(name)) return undefined;
      return files.findLast((variables) => variables[name] !== undefined)?.[name];
    },
    notices: [
      ...paths
        .filter(isReadByOthers)
        .map((path) => `Other users of this machine can read ${path}. Make it private: chmod 600 ${path}`),
      ...ownedByOthers.map((path) => `${path} belongs to another user and is not used. To use it: --env-file ${path}`),
      ...unused.map(
        (name) =>
          `${name} in ${paths.join()} is not used, because it may be your application’s. ` +
          `To use it: --env-file ${paths.join()}`,
      ),
    ],
    reload: () => {
      files = read();
    },
  };
}

function readVariables(path: string): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(path, 'utf8').replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw new NangoError('file_unreadable', `The environment file ${path} cannot be read: ${messageOf(cause)}.`, {
      cause,
    });
  }
}

/** Whether a file belongs to this user or to root. Another user could put a file into a shared folder such as /tmp. */
export function isOwn(path: string): boolean {
  return process.getuid === undefined || [0, process.getuid()].includes(statSync(path).uid);
}

function isReadByOthers(path: string): boolean {
  return process.platform !== 'win32' && existsSync(path) && (statSync(path).mode & 0o007) !== 0;
}
