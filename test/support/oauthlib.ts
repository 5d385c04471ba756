import { spawnSync } from 'node:child_process';

/** A Python that has oauthlib and the packages for its RSA methods. Undefined if there is none. */
export function findOauthlib(): string | undefined {
  return ['/usr/bin/python3', 'python3'].find(
    (python) => spawnSync(python, ['-c', 'import oauthlib, jwt, cryptography']).status === 0,
  );
}
