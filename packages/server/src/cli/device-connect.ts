import { setTimeout as delay } from 'node:timers/promises';
import type Nango from '@nangohq/node-client';
import { printable, type Terminal } from './terminal.ts';

const SLOW_DOWN_SECONDS = 5;

/** The account to connect, and the terminal for messages. */
export interface DeviceConnection {
  readonly integration: string;
  readonly userId: string;
  readonly additionalConfig: Record<string, unknown>;
  readonly terminal: Terminal;
}

/** Connects with a code that the user enters on another device (RFC 8628). Rejects if they refuse or are too late. */
export async function deviceConnect(nango: Nango, connection: DeviceConnection): Promise<void> {
  const { integration, userId, additionalConfig, terminal } = connection;
  // Without a config, the config of an earlier connection stays.
  const config = Object.keys(additionalConfig).length > 0 ? additionalConfig : undefined;
  const authorization = (await nango.beginDeviceAuthorization(integration, userId, config)).returnValue;
  terminal.err('On any device with a browser, go to:');
  terminal.err(
    `  ${terminal.style('cyan', printable(authorization.verificationUriComplete ?? authorization.verificationUri))}`,
  );
  terminal.err(`and enter the code:  ${terminal.style('bold', printable(authorization.userCode))}`);
  terminal.err(terminal.style('gray', `Waiting for up to ${Math.round(authorization.expiresIn / 60)} minutes …`));
  let interval = authorization.interval;
  for (;;) {
    await delay(interval * 1000);
    const { status } = (await nango.pollDeviceAuthorization(authorization.attempt)).returnValue;
    if (status === 'succeeded') return;
    // The longer interval applies to all later polls (RFC 8628 §3.5).
    if (status === 'slow_down') interval += SLOW_DOWN_SECONDS;
  }
}
