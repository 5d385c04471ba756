import type { Command } from 'commander';

/** The option of the Nango folder. Several commands share the options of this file. */
export const FOLDER = ['-f, --folder <path>', 'the Nango folder'] as const;
/** The option of the data directory. */
export const DATA_DIR = ['--data-dir <path>', 'folder of the embedded store and the keys'] as const;
/** The option of the server's address. */
export const SERVER = ['-s, --server <url>', 'where the server runs'] as const;
/** The option of JSON output. */
export const JSON_OUTPUT = ['--json', 'print JSON'] as const;

/** The option of files with environment variables. It may be repeated; later files take precedence. */
export const ENV_FILE = [
  '--env-file <path>',
  'a file of environment variables, instead of .env beside the Nango folder; may be repeated',
  (path: string, earlier: readonly string[] = []): readonly string[] => [...earlier, path],
] as const;

/** Adds the flags of commands that talk to a running server. */
export function addClientOptions(command: Command): Command {
  return command
    .option(...FOLDER)
    .option(...DATA_DIR)
    .option(...ENV_FILE)
    .option(...SERVER);
}
