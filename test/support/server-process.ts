import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Cleanup } from './temporary-folder.ts';

const CLI = join(import.meta.dirname, '../../packages/server/bin/nango.js');
// Only for a start that hangs. A start takes a second, but many times that on a loaded machine.
const HANG_MS = 300_000;
const PRINT_MS = 60_000;

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The environment of a clean shell, without the Nango settings of the person who runs the tests. */
export function cleanEnvironment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(NANGO_|DATABASE_URL$|FORCE_COLOR$|NO_COLOR$|NODE_TEST_CONTEXT$)/.test(name),
  );
  return { ...Object.fromEntries(inherited), ...extra };
}

/** Runs the command line to its end. */
export async function runCli(
  parameters: readonly string[],
  {
    cwd,
    environment,
    input,
    onStderr,
  }: { cwd?: string; environment?: Record<string, string>; input?: string; onStderr?: (all: string) => void } = {},
): Promise<CliResult> {
  const child = spawn(process.execPath, [CLI, ...parameters], {
    cwd,
    env: cleanEnvironment(environment),
    stdio: 'pipe',
  });
  // A command that reads no input may have ended already.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input ?? '');
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    onStderr?.(stderr);
  });
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr };
}

/** A server in its own process. */
export interface ServerProcess {
  readonly child: ChildProcess;
  /** The output that has arrived up to now. */
  output(): string;
  /** Resolves when the output matches, which may be after the first response. Rejects after a minute. */
  printed(pattern: RegExp): Promise<void>;
  /** Ends it at once, like a power cut. */
  kill(): Promise<void>;
  /** Ends it like an operator. Resolves to the exit code. */
  stop(): Promise<number | null>;
}

/** Runs `nango start` and waits until the server responds. Throws if the process ends before that. */
export async function startServerProcess(
  cleanup: Cleanup,
  {
    folder,
    url,
    environment,
    flags = [],
    logFile,
  }: {
    folder: string;
    url: string;
    environment: Record<string, string>;
    flags?: readonly string[];
    /** The target of its output, in place of `output()`. */
    logFile?: string | undefined;
  },
): Promise<ServerProcess> {
  const log = logFile === undefined ? 'pipe' : openSync(logFile, 'w');
  const child = spawn(process.execPath, [CLI, 'start', '--folder', folder, ...flags], {
    env: cleanEnvironment(environment),
    stdio: ['ignore', log, log],
  });
  if (typeof log === 'number') closeSync(log);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    child.kill(signal);
    await once(child, 'close');
    return child.exitCode;
  };
  const printed = async (pattern: RegExp) => {
    const deadline = Date.now() + PRINT_MS;
    while (!pattern.test(output)) {
      if (Date.now() > deadline) throw new Error(`The server did not print ${String(pattern)}:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  cleanup.after(async () => void (await end('SIGKILL')));
  const deadline = Date.now() + HANG_MS;
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    const response = await fetch(`${url}/health`).catch(() => undefined);
    if (response?.ok)
      return {
        child,
        output: () => output,
        printed,
        kill: async () => void (await end('SIGKILL')),
        stop: () => end('SIGTERM'),
      };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`The server at ${url} did not start:\n${output}`);
}
