import type { FastifyBaseLogger } from 'fastify';
import { pino, type DestinationStream } from 'pino';
import type { CreateActionLogger } from '../actions/run-action.ts';
import { NangoError } from '../errors/nango-error.ts';

const MAX_CAUSES = 5;

/** Creates the server's log, which has one JSON object in each line. */
export function createLog(level: string, destination: DestinationStream): FastifyBaseLogger {
  const timeOf = createTimestamp();
  const log = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${timeOf()}"`,
      serializers: { err: describeError },
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  writers.set(log, {
    isEnabled: () => log.isLevelEnabled('info'),
    write: (toLine) => destination.write(`${JSON.stringify(toLine(timeOf()))}\n`),
  });
  return log;
}

/** A line of the log at the level `info`. `time` is RFC 3339. */
export interface Line {
  readonly level: 'info';
  readonly time: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** Writes the line that `toLine` returns for a time. */
export type WriteLine = (toLine: (time: string) => Line) => void;

const writers = new WeakMap<FastifyBaseLogger, { write: WriteLine; isEnabled: () => boolean }>();

/**
 * Returns a function that writes lines faster than the logger, which examines each character. `JSON.stringify` takes
 * 1.7 µs for the line of a call. With `always`, lines are written whatever the log's level.
 */
export function lineWriter(log: FastifyBaseLogger, { always = false } = {}): WriteLine {
  const writer = writers.get(log);
  if (!writer) return (toLine) => writeToLogger(log, toLine(''));
  return (toLine) => {
    if (always || writer.isEnabled()) writer.write(toLine);
  };
}

function writeToLogger(log: FastifyBaseLogger, { msg, ...fields }: Line): void {
  // The logger writes its own level and time.
  log.info({ ...fields, level: undefined, time: undefined }, msg);
}

/** Creates a function that returns the time of a line. It formats once for all lines of a millisecond. */
function createTimestamp(): () => string {
  let last = 0;
  let text = '';
  return () => {
    // oxlint-disable-next-line no-restricted-properties -- The times of a log are the system clock's.
    const now = Date.now();
    if (now === last) return text;
    last = now;
    return (text = new Date(now).toISOString());
  };
}

/** Creates loggers for the runs of Actions, as children of the server's log. */
export function createActionLogger(log: FastifyBaseLogger): CreateActionLogger {
  return (fields, level) => {
    const child = log.child(fields, { level });
    return {
      error: (message, more = {}) => child.error(more, message),
      warn: (message, more = {}) => child.warn(more, message),
      info: (message, more = {}) => child.info(more, message),
      debug: (message, more = {}) => child.debug(more, message),
    };
  };
}

/**
 * Returns the facts of an error that are logged. Other members are omitted, because errors of drivers and HTTP clients
 * hold requests, headers and bound values, which may be secret.
 */
function describeError(thrown: unknown, depth = 0): unknown {
  if (!(thrown instanceof Error)) return String(thrown);
  return {
    type: thrown.name,
    ...(thrown instanceof NangoError || 'code' in thrown ? { code: String(Reflect.get(thrown, 'code')) } : {}),
    message: thrown.message,
    stack: depth === 0 ? thrown.stack : undefined,
    ...(thrown.cause !== undefined && depth < MAX_CAUSES ? { cause: describeError(thrown.cause, depth + 1) } : {}),
  };
}
