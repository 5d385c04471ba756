import { z } from 'zod';
import { NangoError } from '../errors/nango-error.ts';
import type { ResponseParameters } from '../oauth/authorization-response.ts';
import { memberAt } from '../formats/json-path.ts';
import { numberText } from '../formats/parse-json.ts';
import { inputProblems } from '../schema/input-fields.ts';
import type { Integration, JsonObject } from './auth-mode.ts';

/** Returns the schema of `auth.config_from_token_response`. */
export function configFromTokenResponseSchema() {
  return z
    .record(z.string().min(1), z.string().min(1))
    .default({})
    .describe('Members of the token response that are stored as config.*, by dotted path');
}

type Sources = Readonly<Record<string, string>>;

interface ConfiguredIntegration extends Integration {
  readonly auth: Integration['auth'] & {
    readonly config_from_callback?: Sources;
    readonly config_from_token_response: Sources;
  };
}

/** The responses of a provider from which `config.*` may come. */
interface ProviderResponses {
  /** Undefined if no browser took part. */
  readonly callback?: ResponseParameters | undefined;
  readonly tokenResponse: JsonObject;
}

/**
 * Returns the values of the callback and the token response that become `config.*`. The token response takes
 * precedence, because a browser can change a callback. Throws `provider_error` if one is missing.
 */
export function configFromProvider(
  integration: ConfiguredIntegration,
  { callback, tokenResponse }: ProviderResponses,
): JsonObject {
  const { config_from_callback = {}, config_from_token_response } = integration.auth;
  return {
    ...(callback && configFrom(integration, config_from_callback, (parameter) => callback.text(parameter))),
    ...configFrom(integration, config_from_token_response, (path) => memberAt(tokenResponse, path)),
  };
}

function configFrom(integration: Integration, sources: Sources, valueOf: (source: string) => unknown): JsonObject {
  const entries = Object.entries(sources).flatMap(([name, source]) => {
    const member = valueOf(source);
    // A number with more digits than a JavaScript number can hold becomes text.
    const value = typeof member === 'number' ? member : (numberText(member) ?? member);
    const field = integration.configFields[name];
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      // The value is checked here: steps use it before the connection exists, and a browser can change a callback.
      const [problem] = field ? inputProblems({ [name]: field }, { [name]: value }) : [];
      if (problem === undefined) return [[name, value] as const];
      throw new NangoError('provider_error', `The provider’s response does not fit the Integration. ${problem}.`);
    }
    if (field?.optional) return [];
    throw new NangoError(
      'provider_error',
      `The provider’s response has no "${source}", which "${integration.name}" stores as config.${name}.`,
    );
  });
  return Object.fromEntries(entries);
}
