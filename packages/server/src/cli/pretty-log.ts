import { Writable } from 'node:stream';
import { styleText } from 'node:util';
import { z } from 'zod';
import { printable, type TextStyle } from './terminal.ts';

const lineSchema = z.looseObject({
  level: z.string(),
  time: z.string(),
  msg: z.string().default(''),
  err: z.looseObject({ message: z.string() }).optional(),
});
const COLORS: Record<string, TextStyle> = {
  error: 'red',
  fatal: 'red',
  warn: 'yellow',
  info: 'cyan',
  debug: 'gray',
  trace: 'gray',
};

/** Creates a stream that turns the log's JSON lines into lines for people: time, level, message and fields. */
export function createPrettyLog(destination: NodeJS.WriteStream): Writable {
  return new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      for (const line of String(chunk).split('\n').filter(Boolean)) destination.write(`${formatLine(line)}\n`);
      done();
    },
  });
}

function formatLine(line: string): string {
  const { level, time, msg, err, ...fields } = lineSchema.parse(JSON.parse(line));
  const color = COLORS[level] ?? 'white';
  const details = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const reason = err && err.message !== msg ? `: ${err.message}` : '';
  const text = `${msg}${reason}`.split('\n').map(printable).join('\n');
  const start = `${styleText('gray', time.slice(11, 19))} ${styleText(color, level.padEnd(5))}`;
  return `${start} ${text} ${styleText('gray', printable(details.join(' ')))}`.trimEnd();
}
