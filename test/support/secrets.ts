import { Secret, toRevealedJson } from '../../packages/server/src/vault/secret.ts';

export function secret<T>(value: T): Secret<T> {
  return new Secret(value);
}

/** A value with its secrets in the clear, as before it is sealed, so that tests can compare it. */
export function revealed(value: unknown): unknown {
  return value === undefined ? undefined : (JSON.parse(toRevealedJson(value)) as unknown);
}
