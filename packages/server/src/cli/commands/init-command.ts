import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { newFolder } from '../../config/settings.ts';
import type { Terminal } from '../terminal.ts';

const NANGO_CONFIG = `# yaml-language-server: $schema=../node_modules/@nangohq/server/schemas/nango-config.schema.json
# Every key is optional; these are the defaults.

main_server_log_level: info # error, warn, info, debug, trace
default_action_log_level: info
default_http_request_timeout_seconds: 100

oauth_server_port: 3003
# The public root of this server; in production, an https address. Providers redirect users to <root>/oauth/callback.
oauth_server_root_url: http://localhost:3003
`;

const INTEGRATIONS = `# yaml-language-server: $schema=../node_modules/@nangohq/server/schemas/integrations.schema.json
integrations:
  # A Blueprint has the URLs, parameters and headers of a provider. You add your OAuth client and its scopes:
  #   npx nango blueprints search crm     lists Blueprints
  #   npx nango blueprints add <name>     adds a Blueprint here, and prints the remaining steps

  # For an API without a Blueprint, configure how users authenticate and how requests are authorized:
  example:
    auth:
      auth_mode: API_KEY
    requests:
      base_url: https://api.example.com/v1
      headers:
        Authorization: Bearer \${api_key}
`;

const ACTION = `import { NangoAction } from '@nangohq/action';

/** Runs with: nango trigger example list-items <userId> */
class ExampleListItemsAction extends NangoAction {
  override async executeAction(input: { limit?: number } | null) {
    const response = await this.httpRequest('items', 'GET', { limit: input?.limit ?? 10 });
    this.logger.info('Items listed', { status: response.status });
    return { status: response.status, items: response.json ?? null };
  }
}

export { ExampleListItemsAction };
`;

const TSCONFIG = `{
  "compilerOptions": {
    "target": "ES2024",
    "module": "preserve",
    "strict": true,
    "noEmit": true,
    "skipLibCheck": true
  },
  "include": ["**/*.ts"]
}
`;

const GITIGNORE = `node_modules/
.nango/
.env
`;

const FILES: Record<string, string> = {
  'nango-config.yaml': NANGO_CONFIG,
  'integrations.yaml': INTEGRATIONS,
  'example/list-items.action.ts': ACTION,
  'tsconfig.json': TSCONFIG,
};

/** `nango init`: creates the Nango folder. Existing files are not changed. */
export function initCommand({ folder }: { folder?: string }, terminal: Terminal): void {
  const root = newFolder(folder);
  for (const [name, content] of Object.entries(FILES)) writeIfAbsent(join(root, name), content, terminal);
  const ignoreFile = join(root, '..', '.gitignore');
  writeIfAbsent(ignoreFile, GITIGNORE, terminal);
  if (!/^(\/|\*|\*\*\/)?\.env(\*|\.\*)?\r?$/m.test(readFileSync(ignoreFile, 'utf8')))
    terminal.err(
      terminal.style(
        'yellow',
        `! Add .env to ${relativePath(ignoreFile)}: that file will contain your clients’ secrets.`,
      ),
    );
  const flag = folder === undefined ? '' : ` --folder ${shellWord(folder)}`;
  terminal.err(`\nNext:\n  npx nango validate${flag}\n  npx nango start${flag}`);
}

function writeIfAbsent(path: string, content: string, terminal: Terminal): void {
  if (existsSync(path)) {
    terminal.err(`${terminal.style('gray', '·')} ${relativePath(path)} already exists and was not changed`);
    return;
  }
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content, { flag: 'wx' });
  terminal.err(`${terminal.style('green', '+')} ${relativePath(path)}`);
}

function relativePath(path: string): string {
  return relative(process.cwd(), path) || path;
}

function shellWord(text: string): string {
  return /^[\w./:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
