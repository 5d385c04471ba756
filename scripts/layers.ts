/** A folder of the server, or a file at its top. */
interface Layer {
  readonly about: string;
  /** The other folders and files that its files may import. */
  readonly mayImport: readonly string[];
  /** Whether it may read `process.env`. */
  readonly readsEnvironment?: boolean;
  /** Whether it may call `Date.now` and `Math.random`. They are arguments in all other layers, which tests replace. */
  readonly readsClock?: boolean;
}

/**
 * The folders of `packages/server/src`, from the edge down to folders that know no others. The lint rules and the list
 * in ARCHITECTURE.md are generated from it.
 */
export const LAYERS: Readonly<Record<string, Layer>> = {
  cli: {
    about: 'the command line, a thin layer over `start.ts`, `operations/` and the node SDK',
    // Commands wait for a server of another process.
    readsClock: true,
    mayImport: [
      'start.ts',
      'package-files.ts',
      'operations',
      'observability',
      'config',
      'catalog',
      'sources',
      'vault',
      'formats',
      'errors',
    ],
  },
  'start.ts': {
    about: 'the composition root. It builds everything from the settings and passes plain arguments',
    mayImport: [
      'context.ts',
      'clock.ts',
      'package-files.ts',
      'http',
      'operations',
      'observability',
      'actions',
      'events',
      'connect',
      'calls',
      'refresh',
      'connections',
      'config',
      'catalog',
      'schema',
      'vault',
      'errors',
    ],
  },
  http: {
    about: 'routes, the proxy and pages. Only `error-mapper.ts` maps errors to responses',
    mayImport: [
      'actions',
      'observability',
      'events',
      'connect',
      'calls',
      'refresh',
      'connections',
      'config',
      'catalog',
      'upstream',
      'store',
      'vault',
      'formats',
      'errors',
    ],
  },
  operations: {
    about:
      'work on the stored data: opening the store, encryption keys, backup, transfer, import and export. ' +
      'Drafts of Blueprints',
    // Commands without a server build their own context.
    readsClock: true,
    mayImport: [
      'context.ts',
      'clock.ts',
      'package-files.ts',
      'connect',
      'refresh',
      'connections',
      'upstream',
      'scheduling',
      'config',
      'schema',
      'store',
      'oauth',
      'vault',
      'formats',
      'errors',
    ],
  },
  'context.ts': {
    about: 'the arguments that all work on connections needs: store, vault, configuration, HTTP client',
    readsClock: true,
    mayImport: ['connect', 'connections', 'upstream', 'oauth'],
  },
  observability: {
    about: 'the log, the call log, the audit log, metrics, traces',
    mayImport: ['actions', 'calls', 'config', 'upstream', 'vault', 'errors'],
  },
  actions: {
    about: 'finds, compiles and runs Actions',
    mayImport: ['calls', 'refresh', 'connections', 'auth-modes', 'schema', 'errors'],
  },
  events: {
    about: 'events: publishing, webhooks, pruning',
    mayImport: [
      'connections',
      'scheduling',
      'config',
      'upstream',
      'schema',
      'store',
      'formats',
      'event-types.ts',
      'errors',
    ],
  },
  connect: {
    about: 'how connections are made: OAuth flows, device flow, connect sessions, registered credentials',
    mayImport: [
      'calls',
      'refresh',
      'connections',
      'config',
      'auth-modes',
      'schema',
      'store',
      'vault',
      'oauth',
      'formats',
      'errors',
    ],
  },
  calls: {
    about: 'requests to APIs: limits, authorization, retries, redirects, lists. Requests are authorized only here',
    mayImport: [
      'refresh',
      'connections',
      'auth-modes',
      'upstream',
      'schema',
      'store',
      'oauth',
      'vault',
      'formats',
      'errors',
    ],
  },
  refresh: {
    about: 'fresh credentials on demand and ahead of time, and the cache of connections',
    mayImport: ['connections', 'scheduling', 'auth-modes', 'store', 'oauth', 'errors'],
  },
  connections: {
    about: 'connections: opening, listing, changing and deleting them, and their public shape',
    mayImport: ['config', 'auth-modes', 'schema', 'store', 'vault', 'oauth', 'formats', 'errors'],
  },
  config: {
    about: 'turns YAML files into validated Integrations. Only this folder reads `process.env`',
    readsEnvironment: true,
    mayImport: ['catalog', 'sources', 'auth-modes', 'schema', 'vault', 'event-types.ts', 'errors'],
  },
  catalog: {
    about: 'Blueprints: their files, versions and what they extend',
    mayImport: ['sources', 'schema'],
  },
  sources: {
    about: 'reads, checks and merges YAML files, with the place of every fault',
    mayImport: ['schema', 'errors'],
  },
  'auth-modes': {
    about: 'the auth modes: fields, credentials, flow, refresh and signature of each `auth_mode`',
    mayImport: ['schema', 'vault', 'oauth', 'formats', 'errors'],
  },
  upstream: {
    about: 'the one HTTP client, built on undici: sockets, network guard, decoding of bodies',
    mayImport: ['vault', 'oauth', 'formats', 'errors'],
  },
  scheduling: {
    about: 'periodic tasks, back-off, fair limits',
    mayImport: [],
  },
  store: {
    about: 'the `Store` interface, its statements (Kysely), SQLite, PostgreSQL, migrations',
    mayImport: ['vault', 'event-types.ts', 'errors'],
  },
  schema: {
    about: 'the parts of configuration schemas: fields, templates, rendering',
    mayImport: ['vault', 'formats', 'errors'],
  },
  oauth: {
    about: 'the protocol, one file for each request, response and grant. It knows neither HTTP server nor store',
    mayImport: ['vault', 'formats', 'errors'],
  },
  vault: {
    about: 'sealing, encryption keys, and `Secret`, which holds a secret',
    mayImport: ['formats', 'errors'],
  },
  formats: {
    about: 'formats, each in one file: JSON, times, PEM, header fields, request targets',
    mayImport: ['errors'],
  },
  'clock.ts': { about: 'the time, safe against jumps of the system clock', mayImport: [], readsClock: true },
  'event-types.ts': { about: 'the types of events about connections', mayImport: [] },
  'package-files.ts': { about: 'the paths of files in this package', mayImport: [] },
  errors: { about: 'the class of our errors, and the registry of their codes', mayImport: [] },
};

/** Lint rules, as a configuration that `.oxlintrc.json` extends. */
export function layerRules(): object {
  const names = Object.keys(LAYERS);
  const overrides = Object.entries(LAYERS).map(([name, layer]) => {
    const { mayImport } = layer;
    const forbidden = names.filter((other) => other !== name && !mayImport.includes(other));
    const message = `${name} may import only: ${mayImport.join(', ') || 'nothing'} (see scripts/layers.ts)`;
    return {
      files: [`packages/server/src/${isFile(name) ? name : `${name}/**/*.ts`}`],
      rules: {
        'no-restricted-imports': ['error', { patterns: [{ group: forbidden.map(patternOf), message }] }],
        'no-restricted-properties': ['error', ...restrictedProperties(layer)],
      },
    };
  });
  // An empty list turns off all plugins of the linter. They are on by default.
  return { plugins: [], overrides };
}

function restrictedProperties({ readsEnvironment = false, readsClock = false }: Layer): object[] {
  const environment = { object: 'process', property: 'env', message: 'Only config/ reads the environment.' };
  const message = 'Time and randomness are arguments (see scripts/layers.ts).';
  const clock = [
    { object: 'Date', property: 'now', message },
    { object: 'Math', property: 'random', message },
  ];
  return [...(readsEnvironment ? [] : [environment]), ...(readsClock ? [] : clock)];
}

/** The folders as a markdown list. */
export function layerList(): string {
  const items = Object.entries(LAYERS).map(([name, { about, mayImport }]) => {
    const imports = mayImport.map((other) => `\`${other}\``).join(', ') || 'nothing';
    return `- \`${isFile(name) ? name : `${name}/`}\`: ${about}. May import ${imports}.`;
  });
  return items.join('\n');
}

function patternOf(name: string): string {
  return isFile(name) ? `**/${name}` : `**/${name}/**`;
}

function isFile(name: string): boolean {
  return name.endsWith('.ts');
}
