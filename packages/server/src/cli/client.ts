import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Nango from '@nangohq/node-client';
import { loadConfig } from '../config/load-config.ts';
import { readClientSettings, readSettings, type Settings } from '../config/settings.ts';
import { NangoError } from '../errors/nango-error.ts';
import { CATALOG_FOLDER } from '../package-files.ts';

/** Flags of every command that talks to a running server. */
export interface ClientFlags {
  readonly folder?: string;
  readonly dataDir?: string;
  readonly server?: string;
}

/** A client of the running server, and where that is. */
export interface ServerClient {
  readonly nango: Nango;
  readonly serverUrl: string;
}

/** Finds the server by flag, NANGO_SERVER_URL or the Nango folder; its key by NANGO_SECRET_KEY or the data directory. */
export async function openClient(flags: ClientFlags): Promise<ServerClient> {
  const settings = readSettings({ folder: flags.folder, dataDirectory: flags.dataDir });
  const serverUrl = flags.server ?? readClientSettings().serverUrl ?? (await urlFromConfig(settings));
  return { nango: new Nango({ serverUrl, secretKey: settings.secretKey ?? keyFromFile(settings) }), serverUrl };
}

/** The server runs on this machine, so its port counts and not its public root. */
async function urlFromConfig({ folder, environment }: Settings): Promise<string> {
  const { server } = await loadConfig({ folder, catalog: CATALOG_FOLDER, environment });
  return `http://localhost:${server.oauth_server_port}`;
}

function keyFromFile({ dataDirectory }: Settings): string {
  const path = join(dataDirectory, 'secret.key');
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new NangoError(
      'missing_setting',
      `There is no secret key: set NANGO_SECRET_KEY, or start the server once so that it makes ${path}.`,
      { cause },
    );
  }
}
