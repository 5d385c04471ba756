import { parseExactJson } from '../formats/parse-json.ts';

// Deeper than APIs nest, and shallow enough to serialize by recursion.
const MAX_DEPTH = 1_000;

/**
 * Parses the JSON in an API's response; undefined if there is none. It is parsed if the media type is a JSON type
 * (WHATWG MIME Sniffing §4.6, and Amazon's), and if the type is vague: scripts, plain text, no type. Numbers keep their
 * digits, see {@link parseExactJson}.
 */
export function responseJson(contentType: string, text: string): unknown {
  const essence = (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
  const isJson = JSON_TYPE.test(essence) || (VAGUE_TYPES.has(essence) && /^\uFEFF?\s*[{[]/.test(text));
  return isJson ? parseExactJson(text, MAX_DEPTH) : undefined;
}

const JSON_TYPE = /^((application|text)\/json|application\/x-amz-json-1\.[01]|[^/\s]+\/[^/\s]+\+json)$/;
const VAGUE_TYPES: ReadonlySet<string> = new Set([
  '',
  'text/plain',
  'text/javascript',
  'application/javascript',
  'application/x-javascript',
]);
