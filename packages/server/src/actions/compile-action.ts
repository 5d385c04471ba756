import { createRequire, SourceMap } from 'node:module';
import { dirname, resolve } from 'node:path';
import { compileFunction, constants } from 'node:vm';
import * as actionPackage from '@nangohq/action';
import { build, type BuildFailure, type Message } from 'esbuild';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import { shortName } from './action-name.ts';

/** A compiled Action file. */
export interface CompiledAction {
  readonly exports: Record<string, unknown>;
  /** Absolute paths of all files that it was made from. */
  readonly files: readonly string[];
  /** A stack with the lines and columns of the sources. */
  readonly mapStack: (stack: string) => string;
}

/**
 * Compiles a TypeScript file and its relative imports. Types are removed, not checked. A syntax error is
 * `action_invalid` with file, line and column. Packages are loaded from the Action's own folder.
 *
 * The result is a CommonJS function, and not an ES module, because Node never unloads an imported module, and this one
 * is compiled again after each edit.
 */
export async function compileAction(file: string): Promise<CompiledAction> {
  const result = await bundle(file);
  const code = result.outputFiles[0]?.text ?? '';
  const files = Object.keys(result.metafile.inputs).map((input) => resolve(dirname(file), input));
  return { exports: evaluate(code, file), files, mapStack: createStackMap(code, file) };
}

const INLINE_MAP = '//# sourceMappingURL=data:application/json;base64,';

/** Node maps only the stacks of modules that it loads itself. */
function createStackMap(code: string, file: string): (stack: string) => string {
  const at = code.lastIndexOf(INLINE_MAP);
  if (at === -1) return (stack) => stack;
  const payload = Buffer.from(code.slice(at + INLINE_MAP.length), 'base64').toString();
  let map: SourceMap | undefined;
  return (stack) => {
    map ??= new SourceMap(JSON.parse(payload) as ConstructorParameters<typeof SourceMap>[0]);
    const parts = stack.split(`${file}:`);
    return parts.map((part, index) => (index === 0 ? part : mapPosition(part, { map, file }))).join('');
  };
}

/** `part` begins with the line and the column, as `12:5)`. */
function mapPosition(part: string, { map, file }: { map: SourceMap | undefined; file: string }): string {
  const [position = '', line, column] = /^(\d+):(\d+)/.exec(part) ?? [];
  const origin = map?.findOrigin(Number(line), Number(column));
  if (position === '' || !origin || !('fileName' in origin)) return `${file}:${part}`;
  const source = resolve(dirname(file), origin.fileName);
  return `${source}:${origin.lineNumber}:${origin.columnNumber}${part.slice(position.length)}`;
}

async function bundle(file: string) {
  try {
    return await build({
      entryPoints: [file],
      absWorkingDir: dirname(file),
      bundle: true,
      write: false,
      metafile: true,
      format: 'cjs',
      platform: 'node',
      target: 'node24',
      packages: 'external',
      // Also named explicitly, because a tsconfig's paths could map it to a file of the user's.
      external: ['@nangohq/action'],
      sourcemap: 'inline',
      sourcesContent: false,
      logLevel: 'silent',
    });
  } catch (error) {
    if (!isBuildFailure(error)) throw error;
    throw new NangoError('action_invalid', error.errors.map((message) => formatMessage(message, file)).join('\n'), {
      cause: error,
    });
  }
}

function evaluate(code: string, file: string): Record<string, unknown> {
  const own = createRequire(file);
  // The base class must be the server's own. Otherwise an Action would not be an instance of it.
  const load = (name: string): unknown => (name === '@nangohq/action' ? actionPackage : own(name));
  const compiled = { exports: {} };
  try {
    const run = compileFunction(code, ['module', 'exports', 'require', '__filename', '__dirname'], {
      filename: file,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    run.call(compiled.exports, compiled, compiled.exports, load, file, dirname(file));
  } catch (error) {
    throw new NangoError('action_invalid', `${shortName(file)} failed while it was loaded: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return compiled.exports;
}

function formatMessage({ text, location }: Message, file: string): string {
  if (!location) return `${shortName(file)}: ${text}`;
  return `${shortName(resolve(dirname(file), location.file))}:${location.line}:${location.column + 1} ${text}`;
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors);
}
