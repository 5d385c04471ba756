import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { NangoError } from '../errors/nango-error.ts';
import type { Environment } from '../schema/fields.ts';
import { Secret } from '../vault/secret.ts';
import { isOwn, openEnvironmentFiles, type EnvironmentFiles } from './environment-files.ts';

/** Settings of the server. Precedence: flags, the environment, defaults. */
export interface Settings {
  /** The Nango folder. */
  readonly folder: string;
  /** Folder of the embedded store and of the keys that the first start creates. */
  readonly dataDirectory: string;
  /** PostgreSQL connection string; undefined = the embedded store. */
  readonly databaseUrl: Secret<string> | undefined;
  readonly encryptionKey: Secret<string> | undefined;
  /** A file that holds encryption keys. */
  readonly encryptionKeyFile: string | undefined;
  /** A shell command that prints encryption keys. */
  readonly encryptionKeyCommand: string | undefined;
  readonly secretKey: Secret<string> | undefined;
  /** Address to listen on; undefined = loopback for a loopback root URL, else all. */
  readonly host: string | undefined;
  /** Overrides oauth_server_port. */
  readonly port: number | undefined;
  readonly environment: Environment;
  /** The files that {@link environment} reads too; undefined = only the process's variables. */
  readonly environmentFiles?: EnvironmentFiles | undefined;
  /** The address of a running server, for commands that talk to it. */
  readonly serverUrl?: string | undefined;
  /** Undefined = no traces. */
  readonly tracing: TracingSettings | undefined;
}

const SAMPLERS = [
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
  'always_on',
  'always_off',
  'traceidratio',
] as const;

/** Where traces go. The exporter itself reads OpenTelemetry's own OTEL_EXPORTER_OTLP_* variables. */
export interface TracingSettings {
  readonly exporter: 'otlp' | 'console';
  readonly sampler: (typeof SAMPLERS)[number];
  /** From 0 to 1, for the samplers by ratio. */
  readonly samplerArgument: number;
}

/** The settings that the command line overrides. */
export interface SettingsFlags {
  readonly folder?: string | undefined;
  readonly dataDirectory?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** Files of environment variables, in place of `.env` beside the Nango folder. */
  readonly envFile?: readonly string[] | undefined;
}

const DEFAULT_FOLDER = 'nango-integrations';

/** Reads the settings. Nothing else reads the process's environment. */
export function readSettings(flags: SettingsFlags = {}, environment: NodeJS.ProcessEnv = process.env): Settings {
  const folder = findFolder(flags.folder ?? (environment['NANGO_FOLDER'] || undefined));
  const files = openEnvironmentFiles({ folder, named: flags.envFile, processEnvironment: environment });
  const variable = (name: string) => files.get(name) || undefined;
  const secret = (name: string) => {
    const text = variable(name);
    return text === undefined ? undefined : new Secret(text);
  };
  return {
    folder,
    dataDirectory: resolve(flags.dataDirectory ?? variable('NANGO_DATA_DIR') ?? join(folder, '..', '.nango')),
    databaseUrl: secret('DATABASE_URL'),
    encryptionKey: secret('NANGO_ENCRYPTION_KEY'),
    encryptionKeyFile: variable('NANGO_ENCRYPTION_KEY_FILE'),
    encryptionKeyCommand: variable('NANGO_ENCRYPTION_KEY_COMMAND'),
    secretKey: secret('NANGO_SECRET_KEY'),
    host: flags.host ?? variable('NANGO_HOST'),
    port: flags.port,
    environment: files.get,
    environmentFiles: files,
    serverUrl: variable('NANGO_SERVER_URL'),
    // The exporter reads only the process's environment, so nothing else may enable it.
    tracing: readTracing((name) => environment[name] || undefined),
  };
}

/** Returns where `nango init` creates the Nango folder: never above the working folder. */
export function newFolder(named: string | undefined, environment: NodeJS.ProcessEnv = process.env): string {
  return resolve(named ?? (environment['NANGO_FOLDER'] || DEFAULT_FOLDER));
}

/** Returns the named folder; else the nearest folder of the default name, from the working folder upwards. */
function findFolder(named: string | undefined): string {
  if (named !== undefined) return resolve(named);
  const here = resolve(DEFAULT_FOLDER);
  for (let parent = process.cwd(); ; parent = dirname(parent)) {
    const candidate = join(parent, DEFAULT_FOLDER);
    if (existsSync(candidate) && (candidate === here || isOwn(candidate))) return candidate;
    if (parent === dirname(parent)) return here;
  }
}

/** Reads OpenTelemetry's variables. Tracing is off unless an exporter or an endpoint is set. */
function readTracing(variable: (name: string) => string | undefined): TracingSettings | undefined {
  const endpoint = variable('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? variable('OTEL_EXPORTER_OTLP_ENDPOINT');
  const exporter = variable('OTEL_TRACES_EXPORTER') ?? (endpoint === undefined ? 'none' : 'otlp');
  if (exporter === 'none' || variable('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return undefined;
  if (exporter !== 'otlp' && exporter !== 'console')
    throw new NangoError('invalid_setting', `OTEL_TRACES_EXPORTER must be otlp, console or none, not "${exporter}".`);
  const named = variable('OTEL_TRACES_SAMPLER') ?? SAMPLERS[0];
  const sampler = SAMPLERS.find((name) => name === named);
  const samplerArgument = Number(variable('OTEL_TRACES_SAMPLER_ARG') ?? 1);
  if (!sampler || !(samplerArgument >= 0 && samplerArgument <= 1))
    throw new NangoError(
      'invalid_setting',
      `OTEL_TRACES_SAMPLER must be one of ${SAMPLERS.join(', ')}, and OTEL_TRACES_SAMPLER_ARG a number from 0 to 1.`,
    );
  return { exporter, sampler, samplerArgument };
}
