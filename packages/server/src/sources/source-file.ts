import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Alias,
  type Document,
  type Node,
  type Scalar,
} from 'yaml';
import { WrittenNumber } from '../schema/written-number.ts';
import type { ConfigFault, KeyPath, Position } from './config-fault.ts';

const MAX_BYTES = 1_048_576;
const MAX_NODES = 50_000;
const MAX_DEPTH = 32;
// Codes of the parser's errors that concern the content instead of the syntax.
const CONTENT_ERRORS = new Set<string>(['TAG_RESOLVE_FAILED', 'NON_STRING_KEY']);
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/** A YAML file as plain data, with the place of every key. */
export interface SourceFile {
  readonly file: string;
  /**
   * Null, strings, numbers (also as {@link WrittenNumber}), booleans, arrays and plain objects; `undefined` for an
   * empty file.
   */
  readonly data: unknown;
  readonly faults: readonly ConfigFault[];
  /** Returns the place of a key, or of its nearest ancestor that exists. */
  positionOf(path: KeyPath): Position;
  /** Whether the file itself contains this key. */
  has(path: KeyPath): boolean;
}

/**
 * Parses a YAML 1.2 file (core schema), which may be hostile. Bytes, nodes and depth are limited, and aliases count at
 * each use. Duplicate keys, unknown tags and keys such as `__proto__` are faults.
 */
export function parseSourceFile(file: string, text: string): SourceFile {
  if (Buffer.byteLength(text) > MAX_BYTES) return oversizedSource(file);
  const lines = new LineCounter();
  const document = parseSafely(text, lines);
  if (typeof document === 'string') return unreadableSource(file, document);
  const reader = new NodeReader(file, lines);
  // After one syntax error the parser reports others that are not real. Only the first counts.
  const syntaxError = document.errors.find(({ code }) => !CONTENT_ERRORS.has(code));
  for (const { message, pos } of syntaxError ? [syntaxError] : [...document.errors, ...document.warnings])
    reader.addFault([], message.split('\n')[0] ?? '', pos[0]);
  const data = syntaxError || document.contents === null ? undefined : reader.readAll(document.contents);
  return {
    file,
    data,
    faults: reader.faults,
    positionOf: (path) => reader.positionOf(path),
    has: (path) => reader.offsets.has(JSON.stringify(path)),
  };
}

function parseSafely(text: string, lineCounter: LineCounter): Document.Parsed | string {
  try {
    // The parser's own checks of duplicate keys and aliases take quadratic time, so they are done below.
    const options = { version: '1.2', stringKeys: true, prettyErrors: false, uniqueKeys: false, lineCounter } as const;
    return parseDocument(text, options);
  } catch (error) {
    return `cannot be parsed as YAML: ${error instanceof RangeError ? 'nested too deeply' : String(error)}`;
  }
}

class NodeReader {
  readonly faults: ConfigFault[] = [];
  readonly offsets = new Map<string, number>();
  /** The node that each alias refers to. */
  readonly #targets = new Map<Node, Node>();
  /** The messages of exceeded limits. Each is reported once. */
  readonly #exceeded = new Set<string>();
  readonly #file: string;
  readonly #lines: LineCounter;
  #nodes = 0;

  constructor(file: string, lines: LineCounter) {
    this.#file = file;
    this.#lines = lines;
  }

  readAll(node: Node): unknown {
    this.#findTargets(node, new Map(), 0);
    return this.#read(node, [], 0);
  }

  /** An alias refers to the last node before it that has its anchor (YAML 1.2 §7.1). */
  #findTargets(node: Node | null, anchors: Map<string, Node>, depth: number): void {
    // Deeper nodes are not read.
    if (node === null || depth > MAX_DEPTH) return;
    if (isAlias(node)) {
      const target = anchors.get(node.source);
      if (target) this.#targets.set(node, target);
      return;
    }
    if (node.anchor !== undefined) anchors.set(node.anchor, node);
    if (isSeq(node)) for (const item of node.items) this.#findTargets(asNode(item), anchors, depth + 1);
    if (!isMap(node)) return;
    for (const { key, value } of node.items)
      for (const member of [key, value]) this.#findTargets(asNode(member), anchors, depth + 1);
  }

  #read(node: Node | null, path: KeyPath, depth: number): unknown {
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES)
      return this.#exceed(path, node, `has more than ${MAX_NODES} values (aliases count each time)`);
    if (depth > MAX_DEPTH) return this.#exceed(path, node, `is nested deeper than ${MAX_DEPTH} levels`);
    if (isAlias(node)) return this.#readAlias(node, path, depth);
    if (isMap(node)) return this.#readMap(node.items, path, depth);
    if (isSeq(node))
      return node.items.map((item, index) =>
        this.#read(asNode(item), this.#mark([...path, index], asNode(item)), depth + 1),
      );
    return isScalar(node) ? scalarOf(node) : null;
  }

  #readAlias(alias: Alias, path: KeyPath, depth: number): unknown {
    const target = this.#targets.get(alias);
    if (target) return this.#read(target, path, depth + 1);
    this.addFault(path, `"*${alias.source}" has no anchor "&${alias.source}" before it`, alias.range?.[0]);
    return null;
  }

  #readMap(items: readonly { key: unknown; value: unknown }[], path: KeyPath, depth: number): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    for (const { key, value } of items) {
      if (!isScalar(key) || typeof key.value !== 'string') continue;
      const keyPath = this.#mark([...path, key.value], key);
      if (FORBIDDEN_KEYS.has(key.value))
        this.addFault(keyPath, `"${key.value}" cannot be used as a key`, key.range?.[0]);
      else if (Object.hasOwn(result, key.value)) this.addFault(keyPath, `"${key.value}" occurs twice`, key.range?.[0]);
      else result[key.value] = this.#read(asNode(value), keyPath, depth + 1);
    }
    return result;
  }

  addFault(path: KeyPath, message: string, offset: number | undefined): void {
    this.faults.push({ ...this.#positionAt(offset ?? 0), path, message });
  }

  positionOf(path: KeyPath): Position {
    for (let length = path.length; length > 0; length -= 1) {
      const offset = this.offsets.get(JSON.stringify(path.slice(0, length)));
      if (offset !== undefined) return this.#positionAt(offset);
    }
    return this.#positionAt(0);
  }

  #mark(path: KeyPath, node: Node | null | undefined): KeyPath {
    if (node?.range) this.offsets.set(JSON.stringify(path), node.range[0]);
    return path;
  }

  #exceed(path: KeyPath, node: Node | null | undefined, message: string): null {
    if (!this.#exceeded.has(message)) this.addFault(path, message, node?.range?.[0]);
    this.#exceeded.add(message);
    return null;
  }

  #positionAt(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.#file, line: Math.max(line, 1), column: Math.max(col, 1) };
  }
}

function scalarOf({ value, source }: Scalar): unknown {
  const isRewritten = typeof value === 'number' && source !== undefined && source !== String(value);
  return isRewritten ? new WrittenNumber(value, source) : value;
}

function asNode(value: unknown): Node | null {
  return isMap(value) || isSeq(value) || isScalar(value) || isAlias(value) ? value : null;
}

function oversizedSource(file: string): SourceFile {
  return unreadableSource(file, `is larger than ${MAX_BYTES} bytes`);
}

function unreadableSource(file: string, message: string): SourceFile {
  const start: Position = { file, line: 1, column: 1 };
  return {
    file,
    data: undefined,
    faults: [{ ...start, path: [], message }],
    positionOf: () => start,
    has: () => false,
  };
}
