import { readFileSync } from 'node:fs';
import { parseExactJson } from '../../formats/parse-json.ts';
import { openClient, type ClientFlags } from '../client.ts';
import { UsageError } from '../failure.ts';
import type { Terminal } from '../terminal.ts';

/** Flags of `nango trigger`. */
export interface TriggerFlags extends ClientFlags {
  readonly input?: string;
  readonly json?: boolean;
}

/** The Action to run, and the user on behalf of whom it runs. */
export interface TriggerTarget {
  readonly integration: string;
  readonly action: string;
  readonly userId: string;
}

/**
 * `nango trigger`: runs an Action and prints its result as JSON. With --json, the result is on one line. `--input -`
 * reads the input from stdin.
 */
export async function triggerCommand(
  { integration, action, userId }: TriggerTarget,
  { flags, terminal }: { flags: TriggerFlags; terminal: Terminal },
): Promise<void> {
  const input = parseInput(flags.input);
  const { nango } = await openClient(flags);
  const { returnValue } = await nango.triggerAction(integration, action, userId, input);
  terminal.out(JSON.stringify(returnValue, null, flags.json ? 0 : 2));
}

function parseInput(text: string | undefined): unknown {
  if (text === undefined) return null;
  const input = parseExactJson(text === '-' ? readFileSync(0, 'utf8') : text);
  if (input === undefined) throw new UsageError('--input is not JSON, or is nested too deeply.');
  return input;
}
