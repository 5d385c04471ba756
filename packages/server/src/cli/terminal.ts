import { randomUUID } from 'node:crypto';
import { styleText } from 'node:util';
import { wrapAnsi } from 'fast-wrap-ansi';

/** Colours and weights, by their names in node:util. */
export type TextStyle = Parameters<typeof styleText>[0];

/** Where a command writes. Results go to stdout and everything else to stderr, so a pipe receives only results. */
export interface Terminal {
  /** Maximum width of a line of results; undefined = unlimited. */
  readonly columns: number | undefined;
  /** Writes a line of results. */
  out(text: string): void;
  /** Writes progress, notices and errors. */
  err(text: string): void;
  /** Styles text for stderr. Plain if stderr is not a terminal, or NO_COLOR is set. */
  style(style: TextStyle, text: string): string;
  /** Whether a person sees both stdout and stderr. */
  readonly interactive: boolean;
}

/** Creates the terminal of this process. */
export function createTerminal(): Terminal {
  // `nango … | head` ends when `head` has read enough. A failure to write to stderr must not end a server.
  process.stdout.on('error', (error) => endOnWriteError(error));
  process.stderr.on('error', () => undefined);
  return {
    columns: process.stdout.isTTY ? process.stdout.columns : undefined,
    out: (text) => void process.stdout.write(`${keepOwnStyles(text)}\n`),
    err: (text) => void process.stderr.write(`${keepOwnStyles(text)}\n`),
    style: (style, text) =>
      styleText(style, escapeControls(text), { stream: process.stderr }).replaceAll(ESCAPE, OWN_ESCAPE),
    interactive: process.stdout.isTTY && process.stderr.isTTY,
  };
}

const ESCAPE = '\u001b';
// A random mark, so that our styles differ from escapes in files, names and providers' messages.
const OWN_ESCAPE = `\uE000${randomUUID()}`;

function keepOwnStyles(text: string): string {
  return escapeControls(text).replaceAll(OWN_ESCAPE, ESCAPE);
}

/** Prints control characters as JSON escapes, because in quoted text they could move the cursor or forge output. */
function escapeControls(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function endOnWriteError(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit();
  process.stderr.write(`The results cannot be written: ${error.message}\n`);
  process.exit(1);
}

const GAP = '  ';
// A narrower column is unreadable.
const MIN_COLUMN_WIDTH = 8;

/** Formats rows in columns as wide as their widest cell. If a line exceeds `columns`, the widest columns wrap. */
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
    if ((widths[widest] ?? 0) <= MIN_COLUMN_WIDTH) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

/** Replaces control characters of text from outside, because they could move the cursor or forge output. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\uFFFD');
}
