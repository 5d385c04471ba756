import { watch, type FSWatcher } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ConfigError } from '../sources/config-fault.ts';
import { BLUEPRINTS_FOLDER, loadConfig, type Config, type LoadConfigOptions } from './load-config.ts';

const SETTLE_MS = 80;

/** The functions that are called after a reload. */
export interface ConfigListener {
  onReload(config: Config, previous: Config): void;
  /** The last valid configuration stays in use. Called once for each distinct set of faults. */
  onInvalid(error: ConfigError): void;
  onError(error: unknown): void;
}

/**
 * Holds the configuration and keeps it up to date. A valid edit takes effect at once. An invalid edit is reported and
 * changes nothing. Requests in flight keep their Integration.
 */
export class LiveConfig {
  #current: Config;
  #lastFaults = '';
  #timer: NodeJS.Timeout | undefined;
  #reloading: Promise<void> = Promise.resolve();
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #options: LoadConfigOptions;
  readonly #listener: ConfigListener;

  private constructor(config: Config, options: LoadConfigOptions, listener: ConfigListener) {
    this.#current = config;
    this.#options = options;
    this.#listener = listener;
  }

  /** Loads the configuration and begins to watch its files. Throws ConfigError if the first load finds faults. */
  static async open(options: LoadConfigOptions, listener: ConfigListener): Promise<LiveConfig> {
    const live = new LiveConfig(await loadConfig(options), options, listener);
    live.#watch();
    return live;
  }

  get current(): Config {
    return this.#current;
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    await this.#reloading;
  }

  /** Loads the configuration again now. */
  reload(): Promise<void> {
    this.#reloading = this.#reloading.then(() => this.#load());
    return this.#reloading;
  }

  async #load(): Promise<void> {
    try {
      this.#options.environmentFiles?.reload();
      const config = await loadConfig(this.#options);
      const previous = this.#current;
      this.#current = config;
      this.#lastFaults = '';
      this.#listener.onReload(config, previous);
    } catch (error) {
      if (!(error instanceof ConfigError)) return this.#listener.onError(error);
      if (error.message === this.#lastFaults) return;
      this.#lastFaults = error.message;
      this.#listener.onInvalid(error);
    }
  }

  /**
   * Watches folders instead of files. Editors replace a file when they save it, and a watch on the old file reports
   * nothing.
   */
  #watch(): void {
    const { folder: nangoFolder, environmentFiles } = this.#options;
    const watched = [
      // Kubernetes replaces only the link ..data when a mounted ConfigMap changes.
      { folder: nangoFolder, matches: /\.ya?ml$|^blueprints$|^\.\.data$/ },
      { folder: join(nangoFolder, BLUEPRINTS_FOLDER), matches: /\.ya?ml$/ },
      ...(environmentFiles?.paths ?? []).map((path) => ({ folder: dirname(path), matches: basename(path) })),
    ];
    for (const { folder, matches } of watched) {
      const name = JSON.stringify([folder, String(matches)]);
      if (this.#watchers.has(name)) continue;
      try {
        const watcher = watch(folder, { persistent: false }, (_event, file) => {
          if (file === null || (typeof matches === 'string' ? file === matches : matches.test(file))) this.#onChange();
        });
        watcher.on('error', () => this.#watchers.delete(name));
        this.#watchers.set(name, watcher);
      } catch {
        // The folder does not exist yet. The next change looks for it again.
      }
    }
  }

  #onChange(): void {
    this.#watch();
    // One save causes several events, and at the first one the file may be incomplete.
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.reload(), SETTLE_MS);
  }
}
