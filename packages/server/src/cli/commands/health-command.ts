import { z } from 'zod';
import { readSettings } from '../../config/settings.ts';
import { messageOf } from '../../errors/nango-error.ts';
import { parseJson } from '../../formats/parse-json.ts';
import { loadLocalUrl, type ClientFlags } from '../client.ts';
import type { Terminal } from '../terminal.ts';

const healthySchema = z.object({ status: z.literal('ok') });
const TIMEOUT_MS = 4_000;

/** Flags of `nango health`. */
export interface HealthFlags extends Omit<ClientFlags, 'dataDir'> {
  readonly ready?: boolean;
  readonly json?: boolean;
}

/** `nango health`: checks the server on this machine. Returns the exit code: 0 if the server works. */
export async function healthCommand(flags: HealthFlags, terminal: Terminal): Promise<number> {
  const serverUrl = flags.server ?? (await loadLocalUrl(readSettings(flags)));
  const url = `${serverUrl}/health/${flags.ready ? 'ready' : 'live'}`;
  const { healthy, why } = await checkHealth(url);
  if (flags.json) terminal.out(JSON.stringify({ healthy, url }));
  else if (healthy) terminal.err(`${terminal.style('green', '✓')} ${url} reports that the server works.`);
  else terminal.err(`${terminal.style('red', '✗')} ${url} ${why}.`);
  return healthy ? 0 : 1;
}

async function checkHealth(url: string): Promise<{ healthy: boolean; why: string }> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    const body = parseJson(await response.text());
    if (response.ok && !healthySchema.safeParse(body).success)
      return { healthy: false, why: 'is used by another program' };
    return { healthy: response.ok, why: `responds with status ${response.status}` };
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    return { healthy: false, why: `does not respond: ${messageOf(cause ?? error) || 'nothing listens on this port'}` };
  }
}
