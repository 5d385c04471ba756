import { readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { addIntegration, suggestedEntry, type IntegrationEntry } from '../../config/add-integration.ts';
import { BlueprintCatalog, type Blueprint, type BlueprintFailure } from '../../catalog/blueprint-catalog.ts';
import { readIfPresent } from '../../sources/read-source-file.ts';
import { CATEGORIES, PROVENANCE, type BlueprintFile } from '../../catalog/blueprint-file.ts';
import { BlueprintIndex } from '../../catalog/blueprint-index.ts';
import { isMap } from '../../sources/deep-merge.ts';
import { integrationNameSchema } from '../../config/integration-name.ts';
import { ConfigError, displayPath, sortFaults, type ConfigFault } from '../../sources/config-fault.ts';
import { checkBlueprint } from '../../config/check-blueprint.ts';
import { BLUEPRINTS_FOLDER, loadServerAddress } from '../../config/load-config.ts';
import { readSettings, type Settings } from '../../config/settings.ts';
import { NangoError } from '../../errors/nango-error.ts';
import { CATALOG_FOLDER } from '../../package-files.ts';
import { waitUntilLoaded } from '../client.ts';
import { UsageError } from '../failure.ts';
import { formatTable, type Terminal } from '../terminal.ts';

/** Flags of `nango blueprints …`. */
export interface BlueprintsFlags {
  readonly folder?: string;
  readonly json?: boolean;
  readonly category?: string;
  readonly as?: string;
  readonly clientId?: string;
  readonly clientSecret?: string;
  readonly scopes?: string;
  readonly envFile?: readonly string[];
}

/** `nango blueprints search`: lists Blueprints. */
export async function searchBlueprints(words: readonly string[], { flags, terminal }: Command): Promise<void> {
  const { category } = flags;
  if (category !== undefined && !CATEGORIES.some((one) => one === category))
    throw new UsageError(`There is no category "${category}". Categories: ${CATEGORIES.join(', ')}`);
  const found = await new BlueprintIndex(CATALOG_FOLDER).search(words, category);
  if (flags.json) return terminal.out(JSON.stringify(found, null, 2));
  if (found.length === 0) {
    process.exitCode = 1;
    return terminal.err('No Blueprint matches. To use your own, put its file into blueprints/ in the Nango folder.');
  }
  const rows = found.map(({ name, displayName, categories, authMode, verified }) => [
    name,
    displayName,
    authMode,
    categories.join(', '),
    verified?.by ?? '',
  ]);
  terminal.out(
    formatTable([['NAME', 'PROVIDER', 'AUTH MODE', 'CATEGORIES', 'VERIFIED BY'], ...rows], terminal.columns),
  );
}

/** `nango blueprints categories`: lists categories and how many Blueprints each has. */
export async function listCategories({ flags, terminal }: Command): Promise<void> {
  const all = await new BlueprintIndex(CATALOG_FOLDER).search([]);
  const counted = CATEGORIES.map((category) => ({
    category,
    blueprints: all.filter(({ categories }) => categories.includes(category)).length,
  }));
  if (flags.json) return terminal.out(JSON.stringify(counted, null, 2));
  const rows = counted.map(({ category, blueprints }) => [category, String(blueprints)]);
  terminal.out(formatTable([['CATEGORY', 'BLUEPRINTS'], ...rows], terminal.columns));
}

interface Command {
  readonly flags: BlueprintsFlags;
  readonly terminal: Terminal;
}

/** `nango blueprints show`: prints a Blueprint. */
export async function showBlueprint(name: string, { flags, terminal }: Command): Promise<void> {
  const { catalog } = openCatalog(flags);
  const { file } = assertFound(await catalog.file(name.split(':')[0] ?? ''), name);
  const found = assertFound(await catalog.find(name), name);
  if (flags.json) {
    const { auth, config, requests, version } = found;
    return terminal.out(JSON.stringify({ ...file, shown: { version, auth, config, requests } }, null, 2));
  }
  const { stringify } = await import('yaml');
  const comment = file.versions[found.version]?.comment;
  terminal.out(`${file.display_name} (${found.name}:${found.version})`);
  for (const line of [file.docs_url, file.console_url, comment]) if (line !== undefined) terminal.out(line);
  if (file.verified) terminal.out(provenanceOf(file.verified));
  const { auth, config, requests } = found;
  terminal.out(`\n${stringify({ auth, ...(config ? { config } : {}), requests }, { lineWidth: 120 }).trimEnd()}`);
}

/** `nango blueprints add`: writes the entry, and prints the remaining steps. */
export async function addBlueprint(name: string, { flags, terminal }: Command): Promise<void> {
  const { catalog, settings } = openCatalog(flags);
  const { file } = assertFound(await catalog.file(name.split(':')[0] ?? ''), name);
  const found = assertFound(await catalog.find(name), name);
  const integration = flags.as ?? found.name;
  const parsedName = integrationNameSchema.safeParse(integration);
  if (!parsedName.success) throw new UsageError(`"${integration}" ${parsedName.error.issues[0]?.message ?? ''}.`);
  const entry = await createEntry(found, { integration, flags, terminal });
  const path = join(settings.folder, 'integrations.yaml');
  const text = (await readIfPresent(path)) ?? throwFileNotFound(path);
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, addIntegration(text, { name: integration, entry, file: displayPath(path) }));
  renameSync(temporary, path);
  terminal.err(`${terminal.style('green', '✓')} Added ${terminal.style('bold', integration)} to ${displayPath(path)}`);
  await printNextSteps({ file, found, entry }, { settings, integration, terminal });
}

async function createEntry(
  found: Blueprint,
  { integration, flags, terminal }: { integration: string; flags: BlueprintsFlags; terminal: Terminal },
): Promise<IntegrationEntry> {
  const entry: Record<string, IntegrationEntry[string]> = { ...suggestedEntry(found, integration) };
  const { oauth_client_id, oauth_client_secret, oauth_scopes } = entry;
  if (typeof oauth_client_id === 'string')
    entry['oauth_client_id'] =
      flags.clientId ??
      (await promptFor(`Client id, or the environment variable that holds it`, oauth_client_id, terminal));
  if (flags.clientSecret !== undefined && !/^[A-Za-z_]\w*$/.test(flags.clientSecret))
    throw new UsageError(
      '--client-secret takes the name of an environment variable. ' +
        'Do not put the secret itself into a file or into the shell’s history.',
    );
  if (oauth_client_secret !== undefined && flags.clientSecret !== undefined)
    entry['oauth_client_secret'] = `\${${flags.clientSecret}}`;
  if (oauth_scopes !== undefined || (oauth_client_id !== undefined && flags.scopes !== undefined))
    entry['oauth_scopes'] = (flags.scopes ?? (await promptFor('Scopes, separated by spaces or commas', '', terminal)))
      .split(/[\s,]+/)
      .filter((scope) => scope !== '');
  return entry;
}

async function promptFor(message: string, fallback: string, terminal: Terminal): Promise<string> {
  if (!terminal.interactive || !process.stdin.isTTY) return fallback;
  const { text, isCancel } = await import('@clack/prompts');
  const input = await text({
    message,
    output: process.stderr,
    ...(fallback === '' ? {} : { placeholder: fallback, defaultValue: fallback }),
  });
  if (isCancel(input)) throw new NangoError('cancelled', 'The prompt was cancelled. Nothing was added.');
  return input;
}

const conjunction = new Intl.ListFormat('en', { type: 'conjunction' });

interface NextSteps {
  readonly settings: Settings;
  readonly integration: string;
  readonly terminal: Terminal;
}

async function printNextSteps(
  { file, found, entry }: { file: BlueprintFile; found: Blueprint; entry: IntegrationEntry },
  { settings, integration, terminal }: NextSteps,
): Promise<void> {
  const { folder, environment, environmentFiles } = settings;
  const variables = [...JSON.stringify(entry).matchAll(/\$\{(\w+)\}/g)].map(([, variable = '']) => variable);
  const unset = variables.filter((variable) => !environment(variable));
  const steps: string[] = [];
  if (/^OAUTH[12]$/.test(String(found.auth['auth_mode']))) {
    const place = file.console_url ? ` at ${file.console_url}` : ` (${file.docs_url})`;
    const { rootUrl } = await loadServerAddress(folder, environment);
    // Tokens that are issued to the application need no callback.
    const params = found.auth['token_params'];
    const isIssued = isMap(params) && params['grant_type'] === 'client_credentials';
    const callback = isIssued ? '' : ` with the callback URL ${rootUrl}/oauth/callback`;
    steps.push(`Register an application${place}${callback}`);
  } else steps.push(`Your users get their credentials at ${file.console_url ?? file.docs_url}`);
  const environmentFile = environmentFiles?.paths.at(-1);
  if (unset.length > 0)
    steps.push(`Put ${conjunction.format(unset)} into ${environmentFile}, or into the server’s environment`);
  if (Array.isArray(entry['oauth_scopes']) && entry['oauth_scopes'].length === 0)
    steps.push('List the scopes that you need in oauth_scopes');
  steps.push(`Connect an account: nango connect ${integration} <userId>`);
  for (const [index, step] of steps.entries()) terminal.err(`  ${index + 1}. ${step}`);
  await reportRunningServer({ variables, unset }, { settings, integration, terminal });
  const comment = file.versions[found.version]?.comment;
  if (comment !== undefined) terminal.err(`\n${terminal.style('gray', comment)}`);
}

/**
 * Reports whether a running server has loaded the new entry. Otherwise only its log says that a variable is missing.
 */
async function reportRunningServer(
  { variables, unset }: { variables: readonly string[]; unset: readonly string[] },
  { settings, integration, terminal }: NextSteps,
): Promise<void> {
  const loaded = await waitUntilLoaded(integration, settings);
  if (loaded === undefined) return;
  if (loaded) return terminal.err(`The running server has loaded ${integration}.`);
  const missing = unset.length > 0 ? unset : variables;
  const why =
    missing.length > 0
      ? ` It lacks the variable${missing.length === 1 ? '' : 's'} ${conjunction.format(missing)}.`
      : '';
  const path = settings.environmentFiles?.paths.at(-1) ?? '.env';
  terminal.err(
    terminal.style(
      'yellow',
      `! The running server has not loaded ${integration}. It keeps its last valid configuration, and its log lists ` +
        `the faults.${why} It reads ${path} again when that file changes. ` +
        'If you change variables of its environment, start it again.',
    ),
  );
}

/** `nango blueprints check`: lists every fault of files, or of all files in a folder. Returns the exit code. */
export async function checkBlueprints(paths: readonly string[], { flags, terminal }: Command): Promise<number> {
  const files = paths.flatMap((path) =>
    statSync(path).isDirectory()
      ? readdirSync(path)
          .filter((file) => extname(file) === '.yaml')
          .map((file) => join(path, file))
      : [path],
  );
  const faults: ConfigFault[] = [];
  for (const path of files) faults.push(...(await checkBlueprint(resolve(path), CATALOG_FOLDER)));
  if (flags.json) terminal.out(JSON.stringify({ valid: faults.length === 0, files: files.length, faults }, null, 2));
  else if (faults.length > 0) terminal.err(new ConfigError(sortFaults(faults)).message);
  else
    terminal.err(
      `${terminal.style('green', '✓')} ${files.length} Blueprint${files.length === 1 ? ' is' : 's are'} valid.`,
    );
  return faults.length > 0 ? 1 : 0;
}

function provenanceOf({ by, date, sources }: NonNullable<BlueprintFile['verified']>): string {
  return [`On ${date}, this Blueprint was ${PROVENANCE[by]}:`, ...sources.map((source) => `  ${source}`)].join('\n');
}

function openCatalog(flags: Pick<BlueprintsFlags, 'folder' | 'envFile'>) {
  const settings = readSettings(flags);
  const { folder } = settings;
  const catalog = new BlueprintCatalog([join(folder, BLUEPRINTS_FOLDER), CATALOG_FOLDER]);
  return { catalog, settings };
}

function assertFound<T extends Blueprint | { readonly file: BlueprintFile }>(
  found: T | BlueprintFailure,
  name: string,
): T {
  if (!isFailure(found)) return found;
  if (found.faults) throw new ConfigError(sortFaults(found.faults));
  throw new NangoError('not_found', `"${name}" ${found.message}`);
}

function isFailure(found: object): found is BlueprintFailure {
  return !('source' in found || 'file' in found);
}

function throwFileNotFound(path: string): never {
  throw new NangoError('file_not_found', `${path} does not exist. Create it with: nango init`);
}
