/** Requests could guess a shorter key. */
export const MIN_SECRET_KEY_LENGTH = 20;

/** The length of the longest secret key, in characters. */
export const MAX_SECRET_KEY_LENGTH = 256;

/** The characters of a secret key, as part of an error message. */
export const SECRET_KEY_CHARACTERS = 'letters, digits or "-._~+/="';

const TOKEN = '[\\w.~+/=-]';
const SECRET_KEY = new RegExp(`^${TOKEN}{1,${MAX_SECRET_KEY_LENGTH}}$`);
const BEARER = new RegExp(`^Bearer +(${TOKEN}+)$`, 'i');

/** Whether a text may be a secret key. It may still be too short for a public server. */
export function isSecretKey(text: string): boolean {
  return SECRET_KEY.test(text);
}

/** Returns the token of an `Authorization: Bearer` header (RFC 6750 §2.1); undefined if there is none. */
export function parseBearer(authorization: string): string | undefined {
  return BEARER.exec(authorization)?.[1];
}
