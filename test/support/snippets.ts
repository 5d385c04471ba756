import { readFileSync } from 'node:fs';

/** A fenced block of a documentation page. */
export interface Snippet {
  readonly language: string;
  readonly title: string;
  readonly code: string;
  /** The number of its first line. */
  readonly line: number;
}

export function snippetsOf(file: string): Snippet[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/^```(\w+)(.*)\n([^]*?)^```/gm)].map((match) => ({
    language: match[1] ?? '',
    title: (match[2] ?? '')
      .replace(/^ *title=/, '')
      .replaceAll('"', '')
      .trim(),
    code: match[3] ?? '',
    line: text.slice(0, match.index).split('\n').length,
  }));
}
