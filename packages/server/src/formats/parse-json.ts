import { randomUUID } from 'node:crypto';
import { z } from 'zod';

// Providers' documents are less deep, and recursive code can process this depth.
const MAX_DEPTH = 128;
// 10 MiB can hold 3.5 million empty lists, which take 0.9 s to parse. This number takes 0.13 s.
const MAX_CONTAINERS = 500_000;
const MAX_INEXACT_NUMBERS = 200_000;

declare global {
  interface JSON {
    /** A number that JSON.stringify writes with exactly these digits. */
    rawJSON(text: string): object;
    isRawJSON(value: unknown): value is { readonly rawJSON: string };
  }
}

/**
 * Parses JSON, with or without a byte order mark. Returns undefined if the text is not JSON, is nested deeper than
 * `maxDepth` levels, or would block the process: more than 500,000 lists and objects, or 200,000 inexact numbers.
 */
export function parseJson(text: string, maxDepth = MAX_DEPTH): unknown {
  const json = withoutByteOrderMark(text);
  return scan(json, maxDepth) && parseOrUndefined(json);
}

/**
 * Parses JSON like {@link parseJson}, but numbers keep their digits. A number that JavaScript cannot hold exactly is
 * kept as text, and `JSON.stringify` writes it unchanged. {@link numberText} reads it.
 */
export function parseExactJson(text: string, maxDepth = MAX_DEPTH): unknown {
  const json = withoutByteOrderMark(text);
  const scanned = scan(json, maxDepth);
  if (!scanned || scanned.length === 0) return scanned && parseOrUndefined(json);
  // A reviver would take ten times as long. The mark is random, so no text can begin with it.
  const mark = randomUUID();
  return withExactNumbers(parseOrUndefined(quoteInexactNumbers(json, scanned, mark)), mark);
}

/** Whether a text has numbers, outside of strings, that JavaScript would change. */
export function hasInexactNumber(text: string): boolean {
  return (scan(withoutByteOrderMark(text), Infinity)?.length ?? 0) > 0;
}

/** Returns a number's original text; undefined if the value is not a number. */
export function numberText(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return JSON.isRawJSON(value) ? value.rawJSON : undefined;
}

type Json = z.core.util.JSONType;

/** The schema of any JSON value. It returns the value itself, because a copy would lose exact numbers. */
export const jsonValue = z.unknown().refine(isJson, 'must be JSON');

function isJson(value: unknown): value is Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value === 'object' && Object.values(value).every(isJson);
}

function withoutByteOrderMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

function parseOrUndefined(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** The position of a number that JavaScript cannot hold exactly. */
interface InexactNumber {
  readonly from: number;
  readonly to: number;
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const MIN_INEXACT = '1e100'.length;
const LONG_NUMBER = /^-?(?:[\d.]{16}|[\d.]+[eE][+-]?\d{3})/;

/**
 * Scans a text before it is parsed, because deep nesting can exhaust the stack of recursive code. Returns the positions
 * of inexact numbers; undefined if the text exceeds a limit of {@link parseJson}.
 */
function scan(json: string, maxDepth: number): InexactNumber[] | undefined {
  const inexact: InexactNumber[] = [];
  let depth = 0;
  let containers = 0;
  let isString = false;
  for (let at = 0; at < json.length; at += 1) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) isString = !isString;
    else if (isString) at += code === BACKSLASH ? 1 : 0;
    else if (code === OPEN_LIST || code === OPEN_OBJECT) {
      depth += 1;
      containers += 1;
      if (depth > maxDepth || containers > MAX_CONTAINERS) return undefined;
    } else if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth -= 1;
    else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      const to = endOfNumber(json, at);
      // Fifteen digits are always exact, and so is any power of ten below 100.
      if (to - at >= MIN_INEXACT && isInexact(json.slice(at, to))) inexact.push({ from: at, to });
      at = to - 1;
    }
  }
  return inexact.length > MAX_INEXACT_NUMBERS ? undefined : inexact;
}

function endOfNumber(json: string, from: number): number {
  let to = from + 1;
  while (isNumberCharacter(json.charCodeAt(to))) to += 1;
  return to;
}

/** Whether a character occurs in numbers. */
function isNumberCharacter(code: number): boolean {
  return (
    (code >= ZERO && code <= NINE) || code === POINT || code === MINUS || code === PLUS || (code | 0x20) === LOWER_E
  );
}

function isInexact(number: string): boolean {
  return LONG_NUMBER.test(number) && NUMBER.test(number) && String(Number(number)) !== number;
}

/** Returns the text with its inexact numbers as marked strings. */
function quoteInexactNumbers(json: string, numbers: readonly InexactNumber[], mark: string): string {
  const parts: string[] = [];
  let copied = 0;
  for (const { from, to } of numbers) {
    parts.push(json.slice(copied, from), `"${mark}${json.slice(from, to)}"`);
    copied = to;
  }
  return parts.join('') + json.slice(copied);
}

function withExactNumbers(value: unknown, mark: string): unknown {
  if (typeof value === 'string') return value.startsWith(mark) ? JSON.rawJSON(value.slice(mark.length)) : value;
  if (Array.isArray(value)) for (let at = 0; at < value.length; at += 1) value[at] = withExactNumbers(value[at], mark);
  else if (isRecord(value))
    for (const key of Object.keys(value)) {
      const exact = withExactNumbers(value[key], mark);
      // An assignment to "__proto__" would change the prototype.
      if (exact !== value[key]) Object.defineProperty(value, key, { ...ORDINARY_PROPERTY, value: exact });
    }
  return value;
}

const ORDINARY_PROPERTY = { writable: true, enumerable: true, configurable: true };

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const POINT = 0x2e;
const PLUS = 0x2b;
const LOWER_E = 0x65;
