import { NangoError } from '../errors/nango-error.ts';
import { parseJson } from '../oauth/parse-json.ts';
import { processTokenResponse } from '../oauth/token-response.ts';
import type { AdditionalConfig, AuthModeContext, JsonObject, JsonValue } from './auth-mode.ts';
import { sendDescribed, sentSecrets } from './described-request.ts';
import type { OAuth2Auth } from './oauth2-auth.ts';
import { received, type OAuth2Credentials } from './oauth2-credentials.ts';
import type { OAuth2Owner } from './oauth2-server.ts';
import { responseFormat } from './token-fields.ts';

const MAX_VALUE = 2_000;

type Step = OAuth2Auth['steps'][number];

/** Names of `config` that steps bring. */
export function storedBySteps({ steps }: OAuth2Auth): string[] {
  return steps.flatMap(({ store }) => Object.keys(store));
}

interface Progress {
  readonly credentials: OAuth2Credentials;
  readonly config: JsonObject;
}

/**
 * Takes the steps, each with what those before it brought. Throws `token_exchange_failed` when one that is not optional
 * fails, and {@link OAuthResponseError} for a token answer that is none. `tokensOnly` is for renewals.
 */
export async function takeSteps(
  owner: OAuth2Owner,
  begun: Progress,
  { context, tokensOnly = false }: { context: AuthModeContext; tokensOnly?: boolean },
): Promise<Progress> {
  let progress = begun;
  for (const [index, step] of owner.integration.auth.steps.entries()) {
    if (tokensOnly && !step.token) continue;
    try {
      progress = await takeStep(step, progress, { owner, context, number: index + 1 });
    } catch (error) {
      if (!step.optional) throw error;
    }
  }
  return progress;
}

async function takeStep(
  { request, store, token }: Step,
  { credentials, config }: Progress,
  { owner, context, number }: { owner: OAuth2Owner; context: AuthModeContext; number: number },
): Promise<Progress> {
  const { integration } = owner;
  const known: AdditionalConfig = { ...owner.config, ...config };
  const { raw, access_token } = credentials;
  const sources = { integration, config: known, raw, named: { access_token } };
  const response = await sendDescribed(request, sources, context);
  if (token) {
    const format = responseFormat(integration.auth, undefined);
    const answer = processTokenResponse(response, format, [...sentSecrets(sources), access_token]);
    const { grant, refresh_token, refresh_token_expires_at } = credentials;
    const exchanged = received(answer, integration, { ...grant, now: context.now() });
    const kept = exchanged.refresh_token === undefined ? { refresh_token, refresh_token_expires_at } : {};
    return { credentials: { ...exchanged, ...kept, raw: { ...raw, ...exchanged.raw } }, config };
  }
  if (response.status >= 300)
    throw new NangoError(
      'token_exchange_failed',
      `Step ${number} of connecting was answered with status ${response.status}.`,
    );
  const answer = parseJson(response.body);
  const stored = Object.entries(store).map(([name, path]) => [name, textAt(answer, path, number)] as const);
  return { credentials, config: { ...config, ...Object.fromEntries(stored) } };
}

function textAt(answer: unknown, path: string, number: number): JsonValue {
  let value = answer;
  for (const key of path.split('.'))
    value =
      typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
  if ((typeof value === 'string' && value !== '' && value.length <= MAX_VALUE) || typeof value === 'number')
    return String(value);
  throw new NangoError('token_exchange_failed', `The answer to step ${number} of connecting has no text at "${path}".`);
}
