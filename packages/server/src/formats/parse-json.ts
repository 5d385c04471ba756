import { z } from 'zod';

// Deeper than any provider's document, and shallow enough for code that walks it by recursion.
const MAX_DEPTH = 128;

declare global {
  interface JSON {
    /** A value that is written exactly so. */
    rawJSON(text: string): object;
    isRawJSON(value: unknown): value is { readonly rawJSON: string };
    parse(
      text: string,
      reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
    ): unknown;
  }
}

/** Text as JSON, without a byte order mark; undefined where it is none, or is nested deeper than 128 (`maxDepth`) levels. */
export function parseJson(text: string, maxDepth = MAX_DEPTH): unknown {
  return parseBounded(text, maxDepth, (json) => JSON.parse(json));
}

/**
 * The same, but numbers keep their digits: one that JavaScript cannot hold exactly is kept as it is written, and
 * `JSON.stringify` writes it so again. {@link numberText} reads it.
 */
export function parseExactJson(text: string, maxDepth = MAX_DEPTH): unknown {
  // The reviver takes ten times as long, and few documents have such numbers.
  return parseBounded(text, maxDepth, (json) =>
    HAS_LONG_NUMBER.test(json) ? JSON.parse(json, exact) : JSON.parse(json),
  );
}

/** A number's digits as they were written; undefined for what is no number. */
export function numberText(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return JSON.isRawJSON(value) ? value.rawJSON : undefined;
}

type Json = z.core.util.JSONType;

/** Any JSON value, left as it is: a copy would not keep the numbers of {@link parseExactJson}. */
export const jsonValue = z.unknown().refine(isJson, 'must be JSON');

function isJson(value: unknown): value is Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value === 'object' && Object.values(value).every(isJson);
}

// Fifteen digits are always exact, and so is any power of ten below 100.
const LONG_NUMBER = /-?(?:[\d.]{16}|[\d.]+[eE][+-]?\d{3})/;
// Where a number can begin; texts may hold it too.
const HAS_LONG_NUMBER = new RegExp(`(?:^|[[:,\\s])${LONG_NUMBER.source}`);

function exact(_key: string, value: unknown, { source = '' }: { readonly source?: string }): unknown {
  const isInexact = typeof value === 'number' && LONG_NUMBER.test(source) && String(value) !== source;
  return isInexact ? JSON.rawJSON(source) : value;
}

function parseBounded(text: string, maxDepth: number, parse: (json: string) => unknown): unknown {
  const json = text.startsWith('\uFEFF') ? text.slice(1) : text;
  if (isTooDeep(json, maxDepth)) return undefined;
  try {
    return parse(json);
  } catch {
    return undefined;
  }
}

/** Looked at before parsing: what is deeper can exhaust the stack of everything that walks it. */
function isTooDeep(json: string, maxDepth: number): boolean {
  let depth = 0;
  let isString = false;
  for (let at = 0; at < json.length; at += 1) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) isString = !isString;
    else if (isString) at += code === BACKSLASH ? 1 : 0;
    else if (code === OPEN_LIST || code === OPEN_OBJECT) depth += 1;
    else if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth -= 1;
    if (depth > maxDepth) return true;
  }
  return false;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
