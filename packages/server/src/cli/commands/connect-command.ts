import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { NangoClientError, type Nango } from '@nangohq/node-client';
import { messageOf } from '../../errors/nango-error.ts';
import { parseExactJson, parseJson } from '../../formats/parse-json.ts';
import { promptForFields } from '../prompt-fields.ts';
import { openClient, type ClientFlags } from '../client.ts';
import { deviceConnect, type DeviceConnection } from '../device-connect.ts';
import { UsageError } from '../failure.ts';
import { printable, type Terminal } from '../terminal.ts';

const POLL_MS = 1_000;

/** Flags of `nango connect`. */
export interface ConnectFlags extends ClientFlags {
  readonly json?: boolean;
  readonly browser?: boolean;
  readonly device?: boolean;
  readonly account?: string;
  readonly newAccount?: boolean;
  readonly tag?: Record<string, string>;
  readonly config?: Record<string, string>;
  /** A file, or `-`. */
  readonly credentials?: string;
}

interface ConnectOutput {
  readonly flags: ConnectFlags;
  readonly terminal: Terminal;
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
  { flags, terminal }: ConnectOutput,
): Promise<number> {
  const { nango, serverUrl } = await openClient(flags);
  const { integrations } = (await nango.connect()).returnValue;
  const found = integrations.find(({ name }) => name === integration);
  const config = { fields: found?.config ?? {}, values: flags.config ?? {}, visible: true, promptsOptional: false };
  const additionalConfig = await promptForFields(config, terminal);
  const choice = { ...accountChoice(flags), ...(flags.tag === undefined ? {} : { tags: flags.tag }) };
  const connection = { integration, userId, ...choice };
  if (flags.device) return connectByDevice(nango, { connection, additionalConfig, terminal }, flags);
  const prompted = {
    fields: found?.credentials ?? {},
    values: readCredentials(flags),
    visible: false,
    promptsOptional: true,
  };
  const credentials = await promptForFields(prompted, terminal);
  const { token } = (await nango.createConnectSession({ userId, ...choice, integrations: [integration] })).returnValue;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const response = await fetch(`${serverUrl}/oauth/attempts`, {
    method: 'POST',
    headers,
    body: JSON.stringify({
      integration,
      userId,
      ...(Object.keys(additionalConfig).length > 0 ? { additionalConfig } : {}),
      ...(Object.keys(credentials).length > 0 ? { credentials } : {}),
    }),
  });
  const attempt = await parseResponse(response, attemptSchema);
  if (attempt.status === 'pending') showAddress(attempt.connectUrl, { flags, terminal });
  const result = await waitForResult(`${serverUrl}/oauth/attempts/${attempt.attempt}`, new Date(attempt.expiresAt));
  return printResult({ integration, userId, ...result }, { flags, terminal });
}

type Result = z.output<typeof resultSchema> & { readonly integration: string; readonly userId: string };

/** Prints the result. Returns the exit code. */
function printResult({ integration, userId, status, error }: Result, { flags, terminal }: ConnectOutput): number {
  if (flags.json) terminal.out(JSON.stringify({ integration, userId, status, error }));
  else if (status === 'succeeded')
    terminal.err(
      `${terminal.style('green', '✓')} User "${printable(userId)}" is connected to "${printable(integration)}".`,
    );
  else
    terminal.err(
      `${terminal.style('red', '✗')} ` +
        `${printable(error?.message ?? 'The user did not finish in time. Begin again.')} (${error?.type ?? 'timeout'})`,
    );
  return status === 'succeeded' ? 0 : 1;
}

async function connectByDevice(nango: Nango, connection: DeviceConnection, flags: ConnectFlags): Promise<number> {
  const { integration, userId } = connection.connection;
  await deviceConnect(nango, connection);
  return printResult(
    { integration, userId, status: 'succeeded', error: null },
    { flags, terminal: connection.terminal },
  );
}

/** The account that the flags name. Throws a usage error if they name two. */
function accountChoice({ account, newAccount }: ConnectFlags): { account?: string } | { newAccount: true } {
  if (account !== undefined && newAccount) throw new UsageError('Give --account or --new-account, not both.');
  if (newAccount) return { newAccount: true };
  return account === undefined ? {} : { account };
}

/** Reads `--credentials`. Throws `invalid_request` if it is not a JSON object. */
function readCredentials({ credentials }: ConnectFlags): Record<string, unknown> {
  if (credentials === undefined) return {};
  try {
    return z
      .record(z.string(), z.unknown())
      .parse(parseExactJson(readFileSync(credentials === '-' ? 0 : credentials, 'utf8')));
  } catch (cause) {
    // The parser's message may quote a part of a secret.
    const why = cause instanceof Error && 'code' in cause ? messageOf(cause) : 'it is not a JSON object';
    throw new UsageError(`--credentials ${credentials} cannot be used: ${why}.`, cause);
  }
}

function showAddress(url: string, { flags, terminal }: ConnectOutput): void {
  const opened = terminal.interactive && flags.browser !== false && openBrowser(url);
  terminal.err(opened ? 'Opening your browser. If it does not open, go to:' : 'Open this address in a browser:');
  terminal.err(`  ${terminal.style('cyan', url)}`);
  terminal.err(terminal.style('gray', 'Waiting for the connection …'));
}

async function waitForResult(url: string, expiresAt: Date): Promise<z.output<typeof resultSchema>> {
  for (;;) {
    const result = await parseResponse(await fetch(url), resultSchema);
    if (result.status !== 'pending' || Date.now() > expiresAt.getTime()) return result;
    await delay(POLL_MS);
  }
}

async function parseResponse<T extends z.ZodType>(response: Response, schema: T): Promise<z.output<T>> {
  const body = parseJson(await response.text());
  if (response.ok) return schema.parse(body);
  const { error } = errorSchema.parse(body);
  throw new NangoClientError(error.type, error.message, { status: response.status });
}

/** Starts the program that opens addresses. Returns whether it was found, because its success cannot be known. */
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
