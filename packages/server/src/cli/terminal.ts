import { randomUUID } from 'node:crypto';
import { styleText } from 'node:util';
import { wrapAnsi } from 'fast-wrap-ansi';

/** Colours and weights, as node:util names them. */
export type TextStyle = Parameters<typeof styleText>[0];

/** Where a command writes: results to stdout, everything else to stderr, so that a pipe gets results alone. */
export interface Terminal {
  /** How wide a line of results may be; undefined = as wide as it is. */
  readonly columns: number | undefined;
  /** A result line. */
  out(text: string): void;
  /** Progress, notices and errors. */
  err(text: string): void;
  /** Styles text for stderr; plain where that is no terminal, or NO_COLOR is set. */
  style(style: TextStyle, text: string): string;
  /** Whether a person watches. */
  readonly interactive: boolean;
}

export function createTerminal(): Terminal {
  // `nango … | head` ends when enough was read; what cannot be said on stderr must not end a server.
  process.stdout.on('error', (error) => endQuietly(error));
  process.stderr.on('error', () => undefined);
  return {
    columns: process.stdout.isTTY ? process.stdout.columns : undefined,
    out: (text) => void process.stdout.write(`${harmless(text)}\n`),
    err: (text) => void process.stderr.write(`${harmless(text)}\n`),
    style: (style, text) =>
      styleText(style, withoutControls(text), { stream: process.stderr }).replaceAll(ESCAPE, OWN_ESCAPE),
    interactive: process.stdout.isTTY && process.stderr.isTTY,
  };
}

const ESCAPE = '\u001b';
// Nobody outside can write it, so that our styles are told from escapes in files, names and messages of providers.
const OWN_ESCAPE = `\uE000${randomUUID()}`;

function harmless(text: string): string {
  return withoutControls(text).replaceAll(OWN_ESCAPE, ESCAPE);
}

/** Control characters of what is quoted could move the cursor or forge output: they are written as JSON writes them. */
function withoutControls(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit();
  process.stderr.write(`The results cannot be written: ${error.message}\n`);
  process.exit(1);
}

const GAP = '  ';
// A column narrower than this cannot be read.
const NARROWEST = 8;

/** Rows in columns as wide as their widest cell. Where that exceeds `columns`, the widest columns wrap. */
export function formatTable(rows: readonly (readonly string[])[], columns = Number.POSITIVE_INFINITY): string {
  const widths = fitWidths(rows, columns);
  return rows
    .flatMap((row) => {
      const cells = row.map((cell, column) => wrapAnsi(cell, widths[column] ?? 0, { hard: true }).split('\n'));
      const height = Math.max(...cells.map((lines) => lines.length));
      return Array.from({ length: height }, (_, line) =>
        cells
          .map((lines, column) => (lines[line] ?? '').padEnd(widths[column] ?? 0))
          .join(GAP)
          .trimEnd(),
      );
    })
    .join('\n');
}

function fitWidths(rows: readonly (readonly string[])[], columns: number): number[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  const room = columns - GAP.length * (widths.length - 1);
  for (let excess = sum(widths) - room; excess > 0; excess -= 1) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= NARROWEST) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

/** Text from outside, for a terminal: control characters could move the cursor or forge output. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\uFFFD');
}
