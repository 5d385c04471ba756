import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { draftFromDocument, draftFromIssuer, type BlueprintDraft } from '../../operations/blueprint-draft.ts';
import { BLUEPRINT_NAME } from '../../catalog/blueprint-name.ts';
import { BLUEPRINTS_FOLDER } from '../../config/load-config.ts';
import { readSettings } from '../../config/settings.ts';
import { NangoError } from '../../errors/nango-error.ts';
import { UsageError } from '../failure.ts';
import type { Terminal } from '../terminal.ts';

/** Flags of `nango blueprints new`. */
export interface NewBlueprintFlags {
  readonly folder?: string;
  readonly issuer?: string;
  readonly openapi?: string;
  readonly authorizationUrl?: string;
  readonly tokenUrl?: string;
  readonly baseUrl?: string;
}

/** `nango blueprints new`: drafts a Blueprint from a document of the provider, or from prompts. */
export async function newBlueprint(name: string, flags: NewBlueprintFlags, terminal: Terminal): Promise<void> {
  if (!BLUEPRINT_NAME.test(name))
    throw new UsageError(`"${name}" cannot be a Blueprint’s name. Use only letters, digits, "-" and "_".`);
  const folder = join(readSettings({ folder: flags.folder }).folder, BLUEPRINTS_FOLDER);
  const path = join(folder, `${name}.yaml`);
  if (existsSync(path))
    throw new NangoError('file_exists', `${path} already exists. Choose another name, or delete the file.`);
  const { auth, config, requests } = await draft(flags, terminal);
  const docs =
    flags.issuer ?? (/^https?:/.test(flags.openapi ?? '') ? flags.openapi : undefined) ?? 'https://example.com/docs';
  const blueprint = {
    name,
    display_name: name.replace(/^./, (first) => first.toUpperCase()),
    docs_url: docs,
    maintainer: 'Me',
    versions: {
      v0: {
        comment: 'Facts that a developer must know: scopes, lifetimes, reviews.',
        auth,
        ...(config ? { config } : {}),
        requests,
      },
    },
  };
  mkdirSync(folder, { recursive: true });
  const schema = '# yaml-language-server: $schema=../../node_modules/@nangohq/server/schemas/blueprint.schema.json';
  writeFileSync(path, `${schema}\n${stringify(blueprint, { lineWidth: 118, singleQuote: true })}`, { flag: 'wx' });
  terminal.err(`${terminal.style('green', '✓')} Wrote ${path}`);
  terminal.err(`  1. Compare it with the provider’s documentation, and complete it`);
  terminal.err(`  2. Check it: nango blueprints check ${path}`);
  terminal.err(`  3. Use it: nango blueprints add ${name}`);
}

async function draft(flags: NewBlueprintFlags, terminal: Terminal): Promise<BlueprintDraft> {
  if (flags.openapi !== undefined) return draftFromDocument(flags.openapi, flags.baseUrl);
  const promptForBaseUrl = () => flags.baseUrl ?? promptForUrl('Root of the API', terminal, '--base-url');
  if (flags.issuer !== undefined) return draftFromIssuer(flags.issuer, await promptForBaseUrl());
  const auth = {
    auth_mode: 'OAUTH2',
    authorization_url:
      flags.authorizationUrl ?? (await promptForUrl('Authorization URL', terminal, '--authorization-url')),
    token_url: flags.tokenUrl ?? (await promptForUrl('Token URL', terminal, '--token-url')),
  };
  return {
    auth,
    requests: { base_url: await promptForBaseUrl(), headers: { Authorization: 'Bearer ${access_token}' } },
  };
}

async function promptForUrl(message: string, terminal: Terminal, flag: string): Promise<string> {
  if (!terminal.interactive || !process.stdin.isTTY)
    throw new UsageError(
      `${flag} is required. Or use --issuer or --openapi to draft the Blueprint from a document of the provider.`,
    );
  const { text, isCancel } = await import('@clack/prompts');
  const validate = (value: string | undefined) => (URL.canParse(value ?? '') ? undefined : 'The value must be a URL.');
  const input = await text({ message, validate, output: process.stderr });
  if (isCancel(input)) throw new NangoError('cancelled', 'The prompt was cancelled. Nothing was written.');
  return input;
}
