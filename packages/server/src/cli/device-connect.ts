import { setTimeout as delay } from 'node:timers/promises';
import type { Nango, NewConnection } from '@nangohq/node-client';
import { printable, type Terminal } from './terminal.ts';

const SLOW_DOWN_SECONDS = 5;

/** Which account is connected, and where messages go. */
export interface DeviceConnection {
  readonly connection: NewConnection;
  readonly additionalConfig: Record<string, unknown>;
  readonly terminal: Terminal;
}

/** Connects by a code that the user enters on another device (RFC 8628). Rejects if the user refuses or is too late. */
export async function deviceConnect(
  nango: Nango,
  { connection, additionalConfig, terminal }: DeviceConnection,
): Promise<void> {
  // If no config is given, that of an earlier connection stays.
  const given = Object.keys(additionalConfig).length > 0 ? additionalConfig : undefined;
  const begun = (await nango.beginDeviceAuthorization(connection, given)).returnValue;
  terminal.err('On any device with a browser, go to:');
  terminal.err(`  ${terminal.style('cyan', printable(begun.verificationUriComplete ?? begun.verificationUri))}`);
  terminal.err(`and enter the code:  ${terminal.style('bold', printable(begun.userCode))}`);
  terminal.err(terminal.style('gray', `Waiting, for ${Math.round(begun.expiresIn / 60)} minutes …`));
  let interval = begun.interval;
  for (;;) {
    await delay(interval * 1000);
    const { status } = (await nango.pollDeviceAuthorization(begun.attempt)).returnValue;
    if (status === 'succeeded') return;
    // RFC 8628 §3.5: the longer interval stays.
    if (status === 'slow_down') interval += SLOW_DOWN_SECONDS;
  }
}
