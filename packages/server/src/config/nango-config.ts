import { isIP } from 'node:net';
import { z } from 'zod';
import type { Fields } from '../schema/fields.ts';
import { httpsUrlSchema } from './https-url.ts';
import { isSecureUrl } from '../schema/loopback-host.ts';
import { plainNameSchema } from '../schema/plain-name.ts';
import { EVENT_TYPES } from '../event-types.ts';
import { Secret } from '../vault/secret.ts';
import {
  isSecretKey,
  MAX_SECRET_KEY_LENGTH,
  MIN_SECRET_KEY_LENGTH,
  SECRET_KEY_CHARACTERS,
} from './secret-key-format.ts';

/** The log levels, from the fewest to the most lines. */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const;

/**
 * The scopes of a secret key. `connections:read`: read connections with their credentials, and events. `connect`: let
 * users connect. `proxy`: call APIs and run Actions. `metrics`: read metrics. `admin`: everything.
 */
export const SCOPES = ['connections:read', 'connect', 'proxy', 'metrics', 'admin'] as const;

/** A scope of a secret key. */
export type KeyScope = (typeof SCOPES)[number];

/** Creates the schema of `nango-config.yaml`. Every key is optional. */
export function nangoConfigSchema(fields: Fields) {
  return z.strictObject({
    main_server_log_level: fields.choice(LOG_LEVELS).default('info').describe('Log level of the server'),
    default_action_log_level: fields
      .choice(LOG_LEVELS)
      .default('info')
      .describe('Log level of Actions; an Integration’s log_level overrides it'),
    default_http_request_timeout_seconds: fields
      .number({ min: 0, max: 86_400 })
      .default(100)
      .describe('Time limit of a request to an external API; 0 = no limit'),
    oauth_server_enabled: fields.boolean().default(true).describe('false: no /oauth routes'),
    oauth_server_port: fields
      .number({ min: 0, max: 65_535, integer: true })
      .default(3003)
      .describe('Port of the server; 0 = any free port'),
    oauth_server_root_url: fields
      .text()
      .transform((text, ctx) => parseRootUrl(text, (message) => ctx.addIssue({ code: 'custom', message })))
      .default(new URL('http://localhost:3003'))
      .describe('Public root of the server; the callback URL is <root>/oauth/callback'),
    allowed_private_networks: z
      .array(fields.text().refine(isNetwork, 'must be a network such as 10.1.0.0/16 or fd00:1::/64'))
      .default([])
      .describe('Private networks that may be requested although a connection or a response chose the host'),
    allow_connect_without_session: fields
      .boolean()
      .default(false)
      .describe('Unsafe: with a loopback root URL, everyone who reaches the port may connect without a token'),
    allowed_redirect_urls: z
      .array(httpsUrlSchema(fields).refine((text) => !text.includes('#'), 'must not contain a fragment'))
      .max(200)
      .default([])
      .describe('Pages of your application to which a browser may return with the result of connecting; exact URLs'),
    application: z
      .strictObject({
        name: fields
          .text()
          .refine((text) => text.length <= 100, 'must have at most 100 characters')
          .optional()
          .describe('Name of the application'),
        logo: fields.text().optional().describe('An image file in the Nango folder, of at most 64 KiB'),
      })
      .default({})
      .describe('Your application, as its users see it on pages'),
    trusted_proxies: z
      .array(fields.text().refine(isNetwork, 'must be a network such as 10.1.0.0/16 or fd00:1::/64'))
      .default([])
      .describe('Networks of your reverse proxies: their X-Forwarded-For says who the client is'),
    secret_keys: z
      .record(plainNameSchema, secretKeySchema(fields))
      .default({})
      .describe('Further secret keys beside NANGO_SECRET_KEY, by names of your choice'),
    log_user_ids: fields
      .choice(['clear', 'hashed'])
      .default('clear')
      .describe('hashed: logs, traces and the audit log hold a keyed hash in place of each user id'),
    audit_log_file: fields
      .text()
      .optional()
      .describe('File of the audit log, relative to the Nango folder; default: audit lines are part of the log'),
    webhooks: z
      .record(plainNameSchema, webhookSchema(fields))
      .default({})
      .describe('Receivers of events, by names of your choice'),
    events_retention_days: fields
      .number({ min: 4, max: 3_650 })
      .default(30)
      .describe('Days after which events are removed'),
    max_accounts_per_user: fields
      .number({ min: 1, max: 1_000, integer: true })
      .default(20)
      .describe('Maximum number of accounts of one user at an Integration'),
    connection_cache_size: fields
      .number({ min: 0, max: 10_000_000, integer: true })
      .default(10_000)
      .describe('Number of connections that are cached; 0 = none'),
    database_outage_seconds: fields
      .number({ min: 0, max: 86_400 })
      .default(300)
      .describe('How long cached connections are used while the database cannot be reached'),
  });
}

function isNetwork(text: string): boolean {
  const [, address = '', prefix = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const family = isIP(address);
  return family !== 0 && Number(prefix) <= (family === 4 ? 32 : 128);
}

/** The schema of a secret key and its scopes. */
function secretKeySchema(fields: Fields) {
  const key = fields.secret().refine(
    // The missing variable was already reported.
    (secret) => secret.reveal() === '' || isLongSecretKey(secret.reveal()),
    `must have ${MIN_SECRET_KEY_LENGTH} to ${MAX_SECRET_KEY_LENGTH} ${SECRET_KEY_CHARACTERS}. ` +
      'Make one with: openssl rand -base64 32',
  );
  return z.strictObject({
    key: z
      .union([key.transform((one) => [one]), z.array(key).min(1).max(4)])
      .describe('The key; during a rotation a list of keys, which are all valid'),
    scopes: z.array(fields.choice(SCOPES)).min(1).describe('What the key permits'),
  });
}

function isLongSecretKey(text: string): boolean {
  return isSecretKey(text) && text.length >= MIN_SECRET_KEY_LENGTH;
}

/** The schema of a receiver of events. */
function webhookSchema(fields: Fields) {
  const key = fields.secret().transform((secret, ctx) => {
    const text = secret.reveal();
    const bytes = parseWebhookSecret(text);
    // The missing variable was already reported.
    if (!bytes && text !== '') ctx.addIssue({ code: 'custom', message: WEBHOOK_SECRET_HELP });
    return new Secret(bytes ?? Buffer.alloc(0));
  });
  return z.strictObject({
    url: httpsUrlSchema(fields).describe('https URL that receives the events'),
    secret: z
      .union([key.transform((one) => [one]), z.array(key).min(1).max(4)])
      .describe('whsec_… that signs the events; during a rotation a list of secrets, which all sign'),
    events: z
      .array(fields.choice(EVENT_TYPES))
      .min(1)
      .default([...EVENT_TYPES])
      .describe('Types of events to post; default: all'),
  });
}

const WEBHOOK_SECRET_HELP =
  'must be "whsec_" and 24 to 64 random bytes as base64. Make one with: echo "whsec_$(openssl rand -base64 32)"';

/** Returns the key of a Standard Webhooks secret; undefined if it is invalid. */
function parseWebhookSecret(text: string): Buffer | undefined {
  const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  const bytes = Buffer.from(base64 ?? '', 'base64');
  return bytes.length >= 24 && bytes.length <= 64 ? bytes : undefined;
}

/** `nango-config.yaml`, validated. */
export type NangoConfig = z.output<ReturnType<typeof nangoConfigSchema>>;

function parseRootUrl(text: string, addFault: (message: string) => void): URL {
  const url = URL.parse(text);
  const fallback = new URL('http://localhost:3003');
  if (!url || !/^https?:$/.test(url.protocol)) {
    if (text !== '') addFault('must be an http or https URL');
    return fallback;
  }
  if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '')
    addFault('must not contain a query, a fragment or credentials');
  if (!isSecureUrl(url, false))
    addFault('must be https, because codes and tokens are sent over it (only loopback hosts may use http)');
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}
