import { NangoError } from '../errors/nango-error.ts';
import { memberAt } from '../formats/json-path.ts';
import type { OAuthHttpResponse } from '../oauth/oauth-http.ts';
import { readBody } from '../oauth/response-body.ts';
import { numberText, parseExactJson } from '../formats/parse-json.ts';
import type {
  AdditionalConfig,
  AuthModeContext,
  BaseCredentials,
  Identity,
  Integration,
  JsonObject,
  JsonValue,
} from './auth-mode.ts';
import type { Step } from './connect-step-fields.ts';
import { identityFrom } from './identity.ts';
import { sendConfigured, sentSecrets, type RequestSigner } from './configured-request.ts';
import type { MaybeSecret, Secret } from '../vault/secret.ts';

const MAX_VALUE = 2_000;

/** Returns the names of `config` that steps supply. */
export function storedBySteps({ steps }: { readonly steps: readonly Step[] }): string[] {
  return steps.flatMap(({ store }) => Object.keys(store));
}

/** The result of the steps so far. */
export interface Progress<Credentials extends BaseCredentials> {
  readonly credentials: Credentials;
  readonly config: JsonObject;
  readonly identity: Partial<Identity>;
}

/** The parts of steps that differ between auth modes. */
export interface StepMode<Credentials extends BaseCredentials> {
  /** Returns the values of the mode's own placeholders. */
  named(credentials: Credentials): Readonly<Record<string, MaybeSecret>>;
  /** Returns the function that signs requests, if the mode signs. */
  signerOf?(credentials: Credentials): RequestSigner;
  /** Reads the response to a step with `token`; absent if no token can be exchanged. `secrets` were sent. */
  exchange?(response: OAuthHttpResponse, before: Credentials, secrets: readonly Secret<string>[]): Credentials;
}

interface StepOwner {
  readonly integration: Integration & { readonly auth: { readonly steps: readonly Step[] } };
  readonly config: AdditionalConfig;
}

/**
 * Takes the steps in order; each can use the results of those before it. Throws `token_exchange_failed` if a required
 * step fails, and {@link OAuthResponseError} for an invalid token response. `tokensOnly` is for refreshes.
 */
export async function takeSteps<Credentials extends BaseCredentials>(
  owner: StepOwner,
  begun: Progress<Credentials>,
  {
    mode,
    context,
    tokensOnly = false,
  }: { mode: StepMode<Credentials>; context: AuthModeContext; tokensOnly?: boolean },
): Promise<Progress<Credentials>> {
  let progress = begun;
  for (const [index, step] of owner.integration.auth.steps.entries()) {
    if (tokensOnly && !step.token) continue;
    try {
      progress = await takeStep(step, progress, { owner, mode, context, number: index + 1 });
    } catch (error) {
      if (!step.optional) throw error;
    }
  }
  return progress;
}

async function takeStep<Credentials extends BaseCredentials>(
  { request, store, identity: paths, token }: Step,
  { credentials, config, identity }: Progress<Credentials>,
  {
    owner,
    mode,
    context,
    number,
  }: { owner: StepOwner; mode: StepMode<Credentials>; context: AuthModeContext; number: number },
): Promise<Progress<Credentials>> {
  const settings: AdditionalConfig = { ...owner.config, ...config };
  const named = mode.named(credentials);
  const sources = { integration: owner.integration, config: settings, raw: credentials.raw, named };
  const response = await sendConfigured(request, { sources, sign: mode.signerOf?.(credentials) }, context);
  if (token && mode.exchange)
    return { credentials: mode.exchange(response, credentials, sentSecrets(sources)), config, identity };
  if (response.status >= 300)
    throw new NangoError(
      'token_exchange_failed',
      `Step ${number} of connecting failed: the provider responded with status ${response.status}.`,
    );
  const json = readBody(response, (text) => parseExactJson(text));
  const stored = Object.entries(store).map(([name, path]) => [name, textAt(json, path, number)] as const);
  return {
    credentials,
    config: { ...config, ...Object.fromEntries(stored) },
    identity: { ...identity, ...identityFrom(json, paths) },
  };
}

function textAt(json: unknown, path: string, number: number): JsonValue {
  const member = memberAt(json, path);
  const value = numberText(member) ?? member;
  if (typeof value === 'string' && value !== '' && value.length <= MAX_VALUE) return value;
  throw new NangoError(
    'token_exchange_failed',
    `The response to step ${number} of connecting has no text at "${path}".`,
  );
}
