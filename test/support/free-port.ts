import { pickPort } from '../../examples/quickstart/ports.ts';

/** A port that is free on localhost. */
export function freePort(): Promise<number> {
  return pickPort(0);
}
