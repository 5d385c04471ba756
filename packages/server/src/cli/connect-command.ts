import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { NangoError } from '../errors/nango-error.ts';
import { openClient, type ClientFlags } from './client.ts';
import { printable, type Terminal } from './terminal.ts';

const POLL_MS = 1_000;

export interface ConnectFlags extends ClientFlags {
  readonly json?: boolean;
  readonly browser?: boolean;
}

const attemptSchema = z.object({
  attempt: z.string(),
  status: z.string(),
  connectUrl: z.url(),
  expiresAt: z.iso.datetime(),
});
const resultSchema = z.object({
  status: z.enum(['pending', 'succeeded', 'failed']),
  error: z.object({ type: z.string(), message: z.string() }).nullable(),
});
const errorSchema = z.object({ error: z.object({ type: z.string(), message: z.string() }) });

/** `nango connect`: connects an account from the terminal. Returns the exit code. */
export async function connectCommand(
  integration: string,
  userId: string,
  { flags, terminal }: { flags: ConnectFlags; terminal: Terminal },
): Promise<number> {
  const { nango, serverUrl } = await openClient(flags);
  const { token } = (await nango.createConnectSession({ userId, integrations: [integration] })).returnValue;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const begun = await fetch(`${serverUrl}/oauth/attempts`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ integration, userId }),
  });
  const attempt = await parseAnswer(begun, attemptSchema);
  if (attempt.status === 'pending') showAddress(attempt.connectUrl, { flags, terminal });
  const result = await waitForResult(`${serverUrl}/oauth/attempts/${attempt.attempt}`, new Date(attempt.expiresAt));
  if (flags.json) terminal.out(JSON.stringify({ integration, userId, ...result }));
  else if (result.status === 'succeeded')
    terminal.err(
      `${terminal.style('green', '✓')} User "${printable(userId)}" is connected to "${printable(integration)}".`,
    );
  else
    terminal.err(
      `${terminal.style('red', '✗')} ${printable(result.error?.message ?? 'The connection was not made.')} (${result.error?.type ?? 'timeout'})`,
    );
  return result.status === 'succeeded' ? 0 : 1;
}

function showAddress(url: string, { flags, terminal }: { flags: ConnectFlags; terminal: Terminal }): void {
  const opened = terminal.interactive && flags.browser !== false && openBrowser(url);
  terminal.err(opened ? 'Your browser opens. If it does not, go to:' : 'Open this address in a browser:');
  terminal.err(`  ${terminal.style('cyan', url)}`);
  terminal.err(terminal.style('gray', 'Waiting for the connection …'));
}

async function waitForResult(url: string, expiresAt: Date): Promise<z.output<typeof resultSchema>> {
  for (;;) {
    const result = await parseAnswer(await fetch(url), resultSchema);
    if (result.status !== 'pending' || Date.now() > expiresAt.getTime()) return result;
    await delay(POLL_MS);
  }
}

async function parseAnswer<T extends z.ZodType>(response: Response, schema: T): Promise<z.output<T>> {
  const body: unknown = await response.json();
  if (response.ok) return schema.parse(body);
  const { error } = errorSchema.parse(body);
  throw new NangoError('request_failed', `${error.message} (${error.type})`);
}

/** Whether a program that opens addresses was found; what it does with it cannot be known. */
function openBrowser(url: string): boolean {
  const programs: Partial<Record<NodeJS.Platform, [string, ...string[]]>> = {
    darwin: ['open'],
    win32: ['rundll32', 'url.dll,FileProtocolHandler'],
  };
  const [program, ...prefix] = programs[process.platform] ?? ['xdg-open'];
  const child = spawn(program, [...prefix, url], { stdio: 'ignore', detached: true });
  child.on('error', () => undefined);
  child.unref();
  return child.pid !== undefined;
}
