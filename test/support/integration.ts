import assert from 'node:assert/strict';
import type {
  AuthMode,
  BaseAuth,
  BaseCredentials,
  Integration,
} from '../../packages/server/src/auth-modes/auth-mode.ts';
import { RESERVED_PLACEHOLDERS } from '../../packages/server/src/auth-modes/registry.ts';
import { configuredOrigins } from '../../packages/server/src/config/chosen-hosts.ts';
import { Fields } from '../../packages/server/src/schema/fields.ts';
import { requestBounds } from '../../packages/server/src/schema/request-settings.ts';
import { splitTemplate, Template } from '../../packages/server/src/schema/template.ts';
import { Secret } from '../../packages/server/src/vault/secret.ts';
import { z } from 'zod';

/** A template, as in configuration files. */
export function template(text: string): Template {
  const parts = splitTemplate(text);
  assert.ok(typeof parts !== 'string', String(parts));
  return new Template(parts);
}

/** A resolved Integration of one auth mode, for unit tests. `auth` has the keys of the YAML. */
export function integrationOf<Auth extends BaseAuth, Credentials extends BaseCredentials>(
  mode: AuthMode<Auth, Credentials>,
  auth: Record<string, unknown> = {},
  settings: Partial<Integration> = {},
): Integration<Auth> {
  const shape = mode.authShape(new Fields(() => undefined, RESERVED_PLACEHOLDERS));
  const parsed = z.strictObject({ auth_mode: z.literal(mode.name), ...shape }).parse({ auth_mode: mode.name, ...auth });
  const baseUrl = template('https://api.example');
  return {
    name: 'acme',
    blueprint: undefined,
    oauthClientId: 'client-1',
    oauthClientSecret: new Secret('secret-1'),
    allowedScopes: [],
    oauthScopes: [],
    callbackUrl: undefined,
    appApiKey: new Secret('app-key'),
    clientCertificate: undefined,
    logLevel: 'info',
    ...requestBounds({}, 1),
    allowHttp: false,
    shareSockets: false,
    isGuarded: false,
    configuredOrigins: configuredOrigins(parsed, {}, baseUrl),
    refreshConcurrency: 10,
    reconnectAfterRefusedDays: 3,
    configFields: {},
    requests: {
      baseUrl,
      headers: new Map(),
      params: new Map(),
      rateLimit: undefined,
      redirectOrigins: [],
      pagination: undefined,
    },
    ...settings,
    auth: parsed as unknown as Auth,
  };
}
