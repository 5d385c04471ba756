import type { FastifyBaseLogger } from 'fastify';
import { pino, type DestinationStream } from 'pino';
import type { CreateActionLogger } from './actions/run-action.ts';
import { NangoError } from './errors/nango-error.ts';

const MAX_CAUSES = 5;

/** The server's log: one JSON object a line. */
export function createLog(level: string, destination: DestinationStream): FastifyBaseLogger {
  const timestamp = createTimestamp();
  const log = pino(
    {
      level,
      base: null,
      timestamp,
      serializers: { err: describeError },
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  writers.set(log, {
    isEnabled: () => log.isLevelEnabled('info'),
    // Without fields there would be a comma too many.
    write: (fields, message) =>
      destination.write(`{"level":"info"${timestamp()},${JSON.stringify(fields).slice(1, -1)},"msg":"${message}"}\n`),
  });
  return log;
}

/** Writes a line at the level info: plain fields, at least one of them, and a message without anything to escape. */
export type WriteLine = (fields: object, message: string) => void;

const writers = new WeakMap<FastifyBaseLogger, { write: WriteLine; isEnabled: () => boolean }>();

/**
 * The same lines at half the price, for what is written for every call: the engine's own JSON in place of the logger's,
 * which looks at each character. `always` = whatever the level of the log.
 */
export function lineWriter(log: FastifyBaseLogger, { always = false } = {}): WriteLine {
  const writer = writers.get(log);
  if (!writer) return (fields, message) => log.info(fields, message);
  return always ? writer.write : (fields, message) => writer.isEnabled() && writer.write(fields, message);
}

/** The time as a member of a line. One millisecond has many lines, and is written once for them. */
function createTimestamp(): () => string {
  let last = 0;
  let text = '';
  return () => {
    const now = Date.now();
    if (now === last) return text;
    last = now;
    return (text = `,"time":"${new Date(now).toISOString()}"`);
  };
}

/** Loggers for the runs of Actions, as children of the server's. */
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
 * What the log keeps of an error. Only known members are taken: errors of drivers and HTTP clients carry requests,
 * headers and bound values, which may be secret.
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
