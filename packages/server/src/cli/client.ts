import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Nango from '@nangohq/node-client';
import { loadServerAddress } from '../config/load-config.ts';
import { readSettings, type Settings } from '../config/settings.ts';
import { NangoError } from '../errors/nango-error.ts';
import { Secret } from '../vault/secret.ts';

/** Flags of every command that talks to a running server. */
export interface ClientFlags {
  readonly folder?: string;
  readonly dataDir?: string;
  readonly server?: string;
  readonly envFile?: readonly string[];
}

/** A client of the running server, and the server's address. */
export interface ServerClient {
  readonly nango: Nango;
  readonly serverUrl: string;
}

/**
 * Creates a client. The server's address is that of the flag, of NANGO_SERVER_URL or of the Nango folder. The key is
 * that of NANGO_SECRET_KEY or of the data directory. Throws `missing_setting` if there is no key.
 */
export async function openClient(flags: ClientFlags): Promise<ServerClient> {
  const settings = readSettings({ ...flags, dataDirectory: flags.dataDir });
  const serverUrl = flags.server ?? settings.serverUrl ?? (await loadLocalUrl(settings));
  return { nango: new Nango({ serverUrl, secretKey: secretKeyOf(settings).reveal() }), serverUrl };
}

// Maximum time in which a server on this machine loads a changed file.
const RELOAD_MS = 3_000;
const POLL_MS = 200;

/**
 * Waits until the server on this machine has loaded an Integration. Resolves to false if the server does not load it in
 * time, and to undefined if no server of this folder responds.
 */
export async function waitUntilLoaded(integration: string, settings: Settings): Promise<boolean | undefined> {
  const deadline = Date.now() + RELOAD_MS;
  for (;;) {
    const found = await fetchLoadedIntegrations(settings);
    if (found === undefined || found.includes(integration)) return found && true;
    if (Date.now() > deadline) return false;
    await delay(POLL_MS);
  }
}

async function fetchLoadedIntegrations(settings: Settings): Promise<readonly string[] | undefined> {
  try {
    const serverUrl = await loadLocalUrl(settings);
    const nango = new Nango({ serverUrl, secretKey: secretKeyOf(settings).reveal() });
    return (await nango.connect()).returnValue.integrations.map(({ name }) => name);
  } catch {
    // No server responds, or the server has another key.
    return undefined;
  }
}

/** Returns the address of the server on this machine, which differs from its public root. */
export async function loadLocalUrl({ folder, environment }: Settings): Promise<string> {
  return `http://localhost:${(await loadServerAddress(folder, environment)).port}`;
}

function secretKeyOf({ secretKey, dataDirectory }: Settings): Secret<string> {
  if (secretKey !== undefined) return secretKey;
  const path = join(dataDirectory, 'secret.key');
  try {
    return new Secret(readFileSync(path, 'utf8').trim());
  } catch (cause) {
    throw new NangoError(
      'missing_setting',
      `The secret key is missing. Set NANGO_SECRET_KEY, or start the server once, which creates ${path}.`,
      { cause },
    );
  }
}
