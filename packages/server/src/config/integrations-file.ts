import { z } from 'zod';
import { DEFAULT_REFRESH_CONCURRENCY, type AuthMode } from '../auth-modes/auth-mode.ts';
import { AUTH_MODES, placeholderScopeOf, RESERVED_PLACEHOLDERS } from '../auth-modes/registry.ts';
import type { Fields, PlaceholderScope } from '../schema/fields.ts';
import { configFieldsSchema } from '../schema/input-fields.ts';
import { BLUEPRINT_REFERENCE } from '../catalog/blueprint-name.ts';
import { httpsUrlSchema } from './https-url.ts';
import { integrationNameSchema } from './integration-name.ts';
import { requestBehaviourShape, requestBoundsShape } from '../schema/request-settings.ts';
import { LOG_LEVELS } from './nango-config.ts';

const MAX_RAISED_BYTES = 1_048_576;

/**
 * Creates the schema of `integrations.yaml`. `auth` and `requests` are partial, because a Blueprint may hold the rest.
 */
export function integrationsFileSchema(fields: Fields) {
  return z.strictObject({
    integrations: z.record(integrationNameSchema, integrationSchema(fields)),
  });
}

/** The schemas that validate Integrations. Each is created once for a load, because that costs more than using it. */
export class IntegrationSchemas {
  readonly file: ReturnType<typeof integrationsFileSchema>;
  readonly settings: z.ZodObject<ReturnType<typeof integrationSettings>>;
  readonly authMode: z.ZodObject<{ auth: z.ZodObject<{ auth_mode: ReturnType<typeof authModeField> }> }>;
  readonly #fields: Fields;
  readonly #sections = new Map<string, ReturnType<typeof sectionsSchema>>();

  constructor(fields: Fields) {
    this.#fields = fields;
    this.file = integrationsFileSchema(fields);
    this.settings = z.object(integrationSettings(fields));
    this.authMode = z.object({ auth: z.object({ auth_mode: authModeField(fields) }) });
  }

  /** Returns the schema of `auth`, `config` and `requests` of one mode, after the merge with the Blueprint. */
  sectionsOf(mode: AuthMode): ReturnType<typeof sectionsSchema> {
    const schema = this.#sections.get(mode.name) ?? sectionsSchema(this.#fields, mode);
    this.#sections.set(mode.name, schema);
    return schema;
  }
}

function sectionsSchema(fields: Fields, mode: AuthMode) {
  return z.object({
    auth: z.strictObject({ auth_mode: z.literal(mode.name), ...everyAuthShape(fields), ...mode.authShape(fields) }),
    config: configFieldsSchema(fields).default({}),
    requests: z.strictObject(requestsShape(fields, placeholderScopeOf(mode))),
  });
}

function authModeField(fields: Fields) {
  const [first = '', ...rest] = AUTH_MODES.keys();
  return fields.choice([first, ...rest]).describe('Authentication mode');
}

/** The keys of an Integration other than `auth` and `requests`. */
function integrationSettings(fields: Fields) {
  return {
    extends_blueprint: z
      .string()
      .regex(BLUEPRINT_REFERENCE, 'must be a Blueprint’s name, or name:version such as acme:v0')
      .optional()
      .describe('Blueprint whose auth and requests this Integration extends'),
    log_level: fields.choice(LOG_LEVELS).optional().describe('Log level of this Integration’s Actions'),
    ...requestBoundsShape(fields),
    allow_http: fields.boolean().optional().describe('Unsafe: permits http URLs outside loopback for this Integration'),
    share_sockets: fields
      .boolean()
      .optional()
      .describe('Lets connections share HTTP/1.1 sockets: only for an API that never sends a response twice or late'),
    refresh_concurrency: fields
      .number({ min: 1, max: 1_000, integer: true })
      .optional()
      .describe(
        'Maximum number of concurrent refreshes in one server. A refresh of over 250 ms no longer counts. ' +
          `Default: ${DEFAULT_REFRESH_CONCURRENCY}`,
      ),
    reconnect_after_refused_days: fields
      .number({ min: 0, max: 365 })
      .optional()
      .describe(
        'Days of refreshes rejected without a reason until the user has to connect again; 0 = never; default 3',
      ),
    app_api_key: fields.secret().optional().describe('The application’s own key, for ${app_api_key}'),
    oauth_client_id: fields.text().optional().describe('OAuth client identifier (OAuth 1.0a: consumer key)'),
    oauth_client_secret: fields.secret().optional().describe('OAuth client secret (OAuth 1.0a: consumer secret)'),
    oauth_scopes: z.array(fields.text()).optional().describe('Scopes to request'),
    allowed_scopes: z
      .array(fields.text())
      .max(500)
      .optional()
      .describe('Further scopes that a connect session may request for one user'),
    callback_url: httpsUrlSchema(fields)
      .refine((text) => !text.includes('#'), 'must not contain a fragment')
      .optional()
      .describe('Redirect URI on your own domain, which redirects the browser to <root>/oauth/callback'),
    client_certificate: fields
      .secret()
      .optional()
      .describe('PEM certificate presented to the provider (mTLS, RFC 8705)'),
    client_certificate_key: fields.secret().optional().describe('PEM private key of client_certificate'),
  };
}

function integrationSchema(fields: Fields) {
  return z.strictObject({
    ...integrationSettings(fields),
    auth: partialAuthSchema(fields).optional().describe('How users authenticate'),
    config: nullableMap(configFieldsSchema(fields)).optional().describe('Settings of each connection, for ${config.x}'),
    requests: z
      .strictObject(overridable(requestsShape(fields, RESERVED_PLACEHOLDERS)))
      .optional()
      .describe('How requests are authorized'),
  });
}

function partialAuthSchema(fields: Fields) {
  // The mode and the valid placeholders are known only after the merge with the Blueprint.
  const shapes = [...AUTH_MODES.values()].map((mode) => mode.authShape(fields.lenient()));
  const own = Object.assign({}, ...shapes.reverse());
  return z.strictObject(overridable({ auth_mode: authModeField(fields), ...everyAuthShape(fields), ...own }));
}

/** The keys of `auth` that every mode has. */
function everyAuthShape(fields: Fields) {
  return {
    max_response_bytes: fields
      .number({ min: 1_024, max: MAX_RAISED_BYTES, integer: true })
      .optional()
      .describe('Largest response that is read while connecting and refreshing, in bytes; default 65536'),
  };
}

function requestsShape(fields: Fields, scope: PlaceholderScope) {
  return {
    base_url: fields.url(scope).describe('Root of the API; endpoints are relative to it'),
    headers: fields.headers(scope).default({}).describe('Sent with every request'),
    params: fields.params(scope).default({}).describe('Query parameters of every request'),
    ...requestBehaviourShape(),
  };
}

/**
 * Lets each key, and each key of a map, be absent (the Blueprint's value stays) or null (the Blueprint's value is
 * removed).
 */
function overridable(shape: z.ZodRawShape): Record<string, z.ZodType> {
  return Object.fromEntries(
    Object.entries(shape).map(([key, schema]) => [key, nullableMap(schema).nullish().meta(metaOf(schema))]),
  );
}

function nullableMap(schema: z.core.$ZodType): z.ZodType {
  const inner = schema instanceof z.ZodDefault ? schema.unwrap() : schema;
  if (inner instanceof z.ZodRecord) return z.record(inner.keyType, z.union([z.null(), inner.valueType]));
  return inner instanceof z.ZodType ? inner : z.unknown();
}

function metaOf(schema: z.core.$ZodType): { description?: string } {
  const description = schema instanceof z.ZodType ? schema.description : undefined;
  return description === undefined ? {} : { description };
}
