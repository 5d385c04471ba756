import { Secret, toRevealedJson } from '../../packages/server/src/vault/secret.ts';

export function secret<T>(value: T): Secret<T> {
  return new Secret(value);
}

/** A value with its secrets in the clear, as it would be sealed: to be compared. */
export function revealed(value: unknown): unknown {
  return value === undefined ? undefined : (JSON.parse(toRevealedJson(value)) as unknown);
}
