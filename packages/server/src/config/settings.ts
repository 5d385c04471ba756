import { join, resolve } from 'node:path';
import type { Environment } from '../schema/fields.ts';

/** Where the server finds its things; from flags, then the environment, then defaults. */
export interface Settings {
  /** The Nango folder. */
  readonly folder: string;
  /** Folder of the embedded store and of the keys made on first start. */
  readonly dataDirectory: string;
  /** PostgreSQL connection string; undefined = the embedded store. */
  readonly databaseUrl: string | undefined;
  readonly encryptionKey: string | undefined;
  /** A file that holds the encryption key. */
  readonly encryptionKeyFile: string | undefined;
  /** A shell command that prints the encryption key. */
  readonly encryptionKeyCommand: string | undefined;
  readonly secretKey: string | undefined;
  /** Address to listen on; undefined = loopback for a loopback root URL, else all. */
  readonly host: string | undefined;
  /** Overrides oauth_server_port. */
  readonly port: number | undefined;
  readonly environment: Environment;
}

/** What the command line may override. */
export interface SettingsFlags {
  readonly folder?: string | undefined;
  readonly dataDirectory?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
}

const DEFAULT_FOLDER = 'nango-integrations';

/** Reads the settings; the only place that looks at the process's environment. */
export function readSettings(flags: SettingsFlags = {}, environment: NodeJS.ProcessEnv = process.env): Settings {
  const variable = (name: string) => environment[name] || undefined;
  const folder = resolve(flags.folder ?? variable('NANGO_FOLDER') ?? DEFAULT_FOLDER);
  return {
    folder,
    dataDirectory: resolve(flags.dataDirectory ?? variable('NANGO_DATA_DIR') ?? join(folder, '..', '.nango')),
    databaseUrl: variable('DATABASE_URL'),
    encryptionKey: variable('NANGO_ENCRYPTION_KEY'),
    encryptionKeyFile: variable('NANGO_ENCRYPTION_KEY_FILE'),
    encryptionKeyCommand: variable('NANGO_ENCRYPTION_KEY_COMMAND'),
    secretKey: variable('NANGO_SECRET_KEY'),
    host: flags.host ?? variable('NANGO_HOST'),
    port: flags.port,
    environment: (name) => environment[name],
  };
}

/** What a client of a running server needs; for the command line. */
export function readClientSettings(environment: NodeJS.ProcessEnv = process.env): { serverUrl: string | undefined } {
  return { serverUrl: environment['NANGO_SERVER_URL'] || undefined };
}
