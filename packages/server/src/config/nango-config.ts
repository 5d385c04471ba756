import { z } from 'zod';
import type { Fields } from '../schema/fields.ts';
import { isSecureUrl } from '../schema/loopback-host.ts';

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const;

/** The schema of `nango-config.yaml`; every key is optional. */
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
      .describe('How long a request to an external API may take; 0 = no limit'),
    oauth_server_enabled: fields.boolean().default(true).describe('false: no /oauth routes'),
    oauth_server_port: fields
      .number({ min: 0, max: 65_535, integer: true })
      .default(3003)
      .describe('Port of the server; 0 = any free one'),
    oauth_server_root_url: fields
      .text()
      .transform((text, ctx) => parseRootUrl(text, (message) => ctx.addIssue({ code: 'custom', message })))
      .default(new URL('http://localhost:3003'))
      .describe('Public root of the server; the callback URL is <root>/oauth/callback'),
  });
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
    addFault('must have no query, fragment or credentials');
  if (!isSecureUrl(url, false))
    addFault('must be https: codes and tokens travel over it (only loopback hosts may use http)');
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}
