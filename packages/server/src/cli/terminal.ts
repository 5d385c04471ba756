import { styleText } from 'node:util';

/** Colours and weights, as node:util names them. */
export type TextStyle = Parameters<typeof styleText>[0];

/** Where a command writes: results to stdout, everything else to stderr, so that a pipe gets results alone. */
export interface Terminal {
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
  return {
    out: (text) => void process.stdout.write(`${text}\n`),
    err: (text) => void process.stderr.write(`${text}\n`),
    style: (style, text) => styleText(style, text, { stream: process.stderr }),
    interactive: process.stdout.isTTY && process.stderr.isTTY,
  };
}

/** Rows in columns as wide as their widest cell; the last is not padded. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  return rows
    .map((row) =>
      row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  '),
    )
    .join('\n');
}

/** Text from outside, for a terminal: control characters could move the cursor or forge output. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\uFFFD');
}
