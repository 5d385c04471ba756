import { Option, type Command } from 'commander';
import type { BlueprintsFlags } from './blueprints-command.ts';
import type { NewBlueprintFlags } from './new-blueprint-command.ts';
import { ENV_FILE, FOLDER, JSON_OUTPUT } from '../options.ts';
import type { Terminal } from '../terminal.ts';

/** Adds the commands `nango blueprints …`. The code of each command is imported when it runs. */
export function addBlueprintCommands(blueprints: Command, terminal: Terminal): void {
  blueprints
    .command('search')
    .description('list the Blueprints whose name, provider or categories contain every word; without words, list all')
    .argument('[words...]')
    .option('--category <category>', 'only this category; to list the categories: nango blueprints categories')
    .option(...JSON_OUTPUT)
    .addHelpText('after', '\nExample:\n  nango blueprints search accounting')
    .action(async (words: string[], flags: BlueprintsFlags) => {
      const { searchBlueprints } = await import('./blueprints-command.ts');
      await searchBlueprints(words, { flags, terminal });
    });
  blueprints
    .command('categories')
    .description('list the categories, with how many Blueprints each has')
    .option(...JSON_OUTPUT)
    .action(async (flags: BlueprintsFlags) => {
      const { listCategories } = await import('./blueprints-command.ts');
      await listCategories({ flags, terminal });
    });
  blueprints
    .command('show')
    .description('print the settings of a Blueprint, the fields of a connection, and notes')
    .argument('<name>', 'a name, or name:version')
    .option(...FOLDER)
    .option(...JSON_OUTPUT)
    .action(async (name: string, flags: BlueprintsFlags) => {
      const { showBlueprint } = await import('./blueprints-command.ts');
      await showBlueprint(name, { flags, terminal });
    });
  blueprints
    .command('add')
    .description('add an Integration that extends a Blueprint to integrations.yaml')
    .argument('<name>', 'a name, or name:version')
    .option(...FOLDER)
    .option(...ENV_FILE)
    .option('--as <integration>', 'name of the Integration; default: the Blueprint’s')
    .option('--client-id <id>', 'id of the OAuth client, or ${VARIABLE}; on a terminal, it is prompted for')
    .option(
      '--client-secret <variable>',
      'environment variable with the secret of the OAuth client; default: <NAME>_CLIENT_SECRET',
    )
    .option('--scopes <scopes>', 'separated by spaces or commas; on a terminal, they are prompted for')
    .addHelpText('after', '\nExample:\n  nango blueprints add acme --scopes contacts.read,contacts.write')
    .action(async (name: string, flags: BlueprintsFlags) => {
      const { addBlueprint } = await import('./blueprints-command.ts');
      await addBlueprint(name, { flags, terminal });
    });
  blueprints
    .command('new')
    .description('draft your own Blueprint from a document of the provider, or from prompts')
    .argument('<name>')
    .option(...FOLDER)
    .addOption(
      new Option(
        '--issuer <url>',
        'authorization server that publishes its metadata (RFC 8414, OpenID Connect Discovery)',
      ).conflicts(['openapi', 'authorizationUrl', 'tokenUrl']),
    )
    .addOption(
      new Option('--openapi <file or url>', 'an OpenAPI 3 document').conflicts(['authorizationUrl', 'tokenUrl']),
    )
    .option('--authorization-url <url>', 'the authorization endpoint, if the provider publishes no document')
    .option('--token-url <url>', 'the token endpoint, if the provider publishes no document')
    .option('--base-url <url>', 'root URL of the API; with --openapi, it replaces the server in the document')
    .addHelpText(
      'after',
      '\nExample:\n  nango blueprints new acme --issuer https://login.acme.com --base-url https://api.acme.com/',
    )
    .action(async (name: string, flags: NewBlueprintFlags) => {
      const { newBlueprint } = await import('./new-blueprint-command.ts');
      await newBlueprint(name, flags, terminal);
    });
  blueprints
    .command('check')
    .description('list every fault of Blueprint files, or of all Blueprint files in folders')
    .argument('<paths...>')
    .option(...JSON_OUTPUT)
    .action(async (paths: string[], flags: BlueprintsFlags) => {
      const { checkBlueprints } = await import('./blueprints-command.ts');
      process.exitCode = await checkBlueprints(paths, { flags, terminal });
    });
}
