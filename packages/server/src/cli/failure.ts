import { ConfigError, formatKeyPath } from '../sources/config-fault.ts';
import { codeOf, messageOf, NangoError } from '../errors/nango-error.ts';
import type { Terminal } from './terminal.ts';

const FAILED = 1;
/** The exit code of a command that was called with wrong arguments. */
export const WRONG_USAGE = 2;

/** The error of a command that was called with wrong arguments. The exit code is 2. */
export class UsageError extends NangoError {
  constructor(message: string, cause?: unknown) {
    super('invalid_request', message, { cause });
  }
}

/** Prints why a command failed, with `json` in the API's format. Returns the exit code. */
export function reportFailure(error: unknown, { terminal, json }: { terminal: Terminal; json: boolean }): number {
  if (json) terminal.out(JSON.stringify({ error: describeFailure(error) }));
  else if (error instanceof NangoError && error.code === 'invalid_config') terminal.err(error.message);
  else terminal.err(`${terminal.style('red', '✗')} ${messageOf(error)}`);
  return error instanceof UsageError ? WRONG_USAGE : FAILED;
}

function describeFailure(error: unknown): object {
  const faults =
    error instanceof ConfigError ? error.faults.map((fault) => ({ ...fault, path: formatKeyPath(fault.path) })) : [];
  return { type: typeOf(error), message: messageOf(error), ...(faults.length > 0 ? { faults } : {}) };
}

/** Returns the type of an SDK's error, or the code of any other error. */
function typeOf(error: unknown): string {
  const isOfSdk = !(error instanceof NangoError) && error instanceof Error && 'type' in error;
  return isOfSdk && typeof error.type === 'string' ? error.type : codeOf(error);
}
