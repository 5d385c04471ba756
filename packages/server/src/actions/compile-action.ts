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
  /** Absolute paths of all files that it was compiled from. */
  readonly files: readonly string[];
  /** Maps a stack to the lines and columns of the sources. */
  readonly mapStack: (stack: string) => string;
}

/**
 * Compiles a TypeScript file and its relative imports. Types are removed without a check. Packages are loaded from the
 * Action's own folder. Throws `action_invalid` with file, line and column of a syntax error.
 *
 * The result is a CommonJS function, because Node never unloads an imported ES module, and an Action is compiled again
 * after each edit.
 */
export async function compileAction(file: string): Promise<CompiledAction> {
  const result = await bundle(file);
  const code = result.outputFiles[0]?.text ?? '';
  const files = Object.keys(result.metafile.inputs).map((input) => resolve(dirname(file), input));
  return { exports: evaluate(code, file), files, mapStack: createStackMap(code, file) };
}

const INLINE_MAP = '//# sourceMappingURL=data:application/json;base64,';

/** Creates a function that maps stacks. Node maps only the stacks of modules that it loads itself. */
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

/** Maps a part of a stack that begins with a line and a column, such as `12:5)`. */
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
      // Named explicitly too, because `paths` of the user's tsconfig could map it to another file.
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
  const requireOwn = createRequire(file);
  // An Action must extend the server's own base class to be an instance of it.
  const load = (name: string): unknown => (name === '@nangohq/action' ? actionPackage : requireOwn(name));
  const compiled = { exports: {} };
  try {
    const run = compileFunction(code, ['module', 'exports', 'require', '__filename', '__dirname'], {
      filename: file,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    run.call(compiled.exports, compiled, compiled.exports, load, file, dirname(file));
  } catch (error) {
    throw new NangoError(
      'action_invalid',
      `${shortName(file)} threw an error while it was loaded: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
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
