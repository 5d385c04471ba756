import type { AdditionalConfig, DeviceCode } from '../auth-modes/auth-mode.ts';
import { NangoError } from '../errors/nango-error.ts';
import { hasTrait } from '../errors/registry.ts';
import type { ConnectAttemptRow, ConnectionKey } from '../store/store.ts';
import { failAttemptOnError, invalidState, openAttempt, sealSecrets } from './attempt-steps.ts';
import { clientSecrets } from './own-client.ts';
import { withOAuthClient } from '../connections/oauth-client.ts';
import { openOAuthClient } from '../connections/sealed-credentials.ts';
import { storeAuthorized } from './store-connection.ts';
import {
  assertConfig,
  authModeOf,
  configOf,
  integrationNamed,
  modeContext,
  parseConfig,
  type ConnectionContext,
} from '../connections/connection-context.ts';
import type { Tags } from '../connections/connection-input.ts';
import { assertMayHaveAccount, chosenAccount } from './accounts.ts';
import { hashToken, type ConnectRequest } from './connect-sessions.ts';
import { Secret } from '../vault/secret.ts';

/** What a back end asks to connect. */
export interface DeviceRequest extends ConnectRequest {
  readonly additionalConfig?: AdditionalConfig | undefined;
  readonly tags?: Tags | undefined;
}

/** A code for the user, and the attempt that waits for it. */
export interface BegunDeviceFlow extends Omit<DeviceCode, 'secrets'> {
  readonly account: string;
  readonly attempt: Secret<string>;
}

/** The state of a device flow. After `slow_down` the caller waits five seconds longer from now on (RFC 8628 §3.5). */
export type DeviceFlowStatus = 'pending' | 'slow_down' | 'succeeded';

/** Called once when an attempt ends. */
export type DeviceFlowEnded = (key: ConnectionKey, status: 'succeeded' | 'failed') => void;

/** Connects an account from a machine without a browser. The user enters a code on another device (RFC 8628). */
export class DeviceFlow {
  readonly #context: ConnectionContext;

  constructor(context: ConnectionContext) {
    this.#context = context;
  }

  /** Throws `unsupported_auth_mode` if the Integration has no device authorization endpoint. */
  async begin({ additionalConfig, tags, ...request }: DeviceRequest): Promise<BegunDeviceFlow> {
    const { store, now, randomToken } = this.#context;
    const { integration: name, userId } = request;
    const key = { integration: name, userId, account: chosenAccount(request, this.#context) };
    const existing = await store.findConnection(key);
    const oauthClient = existing && openOAuthClient(existing, this.#context.vault);
    const integration = withOAuthClient(integrationNamed(key.integration, this.#context), oauthClient);
    const { device, name: mode } = authModeOf(integration);
    if (!device)
      throw new NangoError(
        'unsupported_auth_mode',
        `"${key.integration}" has auth_mode ${mode}, which cannot authorize devices. Connect in a browser.`,
      );
    await assertMayHaveAccount(key, this.#context);
    const stored = existing ? parseConfig(existing.additionalConfig) : {};
    const ownConfig = additionalConfig ?? stored;
    assertConfig(integration, ownConfig);
    const { secrets, ...code } = await device.begin(
      { integration, config: configOf(integration, ownConfig) },
      modeContext(integration, this.#context),
    );
    const attempt = new Secret(randomToken());
    const attemptHash = hashToken(attempt);
    const times = { now: now(), expiresAt: now() + code.expiresIn * 1000 };
    const json = additionalConfig ? JSON.stringify(additionalConfig) : null;
    await store.insertAttempt({
      ...key,
      attemptHash,
      origin: null,
      nonceHash: null,
      additionalConfig: json,
      tags: tags ? JSON.stringify(tags) : null,
      options: null,
      sessionHash: null,
      sealedSecrets: null,
      ...times,
    });
    await store.beginAttempt(attemptHash, {
      // Neither leaves the server, so no browser can finish this attempt.
      stateHash: hashToken(new Secret(randomToken())),
      browserHash: hashToken(new Secret(randomToken())),
      sealedSecrets: sealSecrets({ ...secrets, ...clientSecrets(oauthClient) }, attemptHash, this.#context),
      now: now(),
    });
    return { attempt, account: key.account, ...code };
  }

  /**
   * Asks the provider once whether the user has agreed. Throws the errors that end the attempt: `access_denied`,
   * `provider_error` and `invalid_state`.
   */
  async poll(attempt: Secret<string>, onEnd: DeviceFlowEnded): Promise<DeviceFlowStatus> {
    const { store, now } = this.#context;
    const row = await store.findAttempt(hashToken(attempt));
    if (row?.status === 'succeeded') return 'succeeded';
    if (row?.status !== 'authorizing' || row.stateHash === null || row.expiresAt <= now()) throw invalidState();
    const opened = await openAttempt(row, this.#context);
    const { integration, mode, config, secrets } = opened;
    const { device } = mode;
    if (!device) throw invalidState();
    const pollOnce = () => device.poll({ integration, config, secrets }, modeContext(integration, this.#context));
    const { stateHash } = row;
    try {
      const outcome = await this.#slowDownOnTimeout(row, pollOnce);
      if (typeof outcome === 'string') return outcome === 'slow_down' ? outcome : 'pending';
      if (!(await store.takeAttempt(stateHash, now()))) throw invalidState();
      await failAttemptOnError(row, () => storeAuthorized(opened, outcome, this.#context), this.#context);
    } catch (error) {
      onEnd(row, 'failed');
      throw error;
    }
    onEnd(row, 'succeeded');
    return 'succeeded';
  }

  /** Runs a poll. A timeout does not end the attempt: the client polls more slowly (RFC 8628 §3.5). */
  async #slowDownOnTimeout<T>(row: ConnectAttemptRow, poll: () => Promise<T>): Promise<T | 'slow_down'> {
    return failAttemptOnError(
      row,
      async () => {
        try {
          return await poll();
        } catch (error) {
          if (error instanceof NangoError && hasTrait(error.code, 'network')) return 'slow_down';
          throw error;
        }
      },
      this.#context,
    );
  }
}
