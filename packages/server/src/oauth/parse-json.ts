// Deeper than any provider's document, and shallow enough for code that walks it by recursion.
const MAX_DEPTH = 128;

/** Text as JSON, without a byte order mark; undefined where it is none, or is nested deeper than 128 (`maxDepth`) levels. */
export function parseJson(text: string, maxDepth = MAX_DEPTH): unknown {
  const json = text.startsWith('\uFEFF') ? text.slice(1) : text;
  if (isTooDeep(json, maxDepth)) return undefined;
  try {
    return JSON.parse(json);
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
