import type { z } from 'zod';
import { parseExactJson } from '../formats/parse-json.ts';
import { Secret, toRevealedJson } from './secret.ts';
import { unreadable, type SealedPlace, type Vault } from './vault.ts';

/** A sealed value, where it is stored, and what its JSON must be. */
interface SealedJson<Schema extends z.ZodType> {
  readonly sealed: Uint8Array;
  readonly place: SealedPlace;
  readonly schema: Schema;
}

/** Seals a value as JSON that contains its secrets. */
export function sealJson(vault: Vault, value: unknown, place: SealedPlace): Uint8Array {
  return vault.seal(toSecretJson(value), place);
}

/** Opens a value that {@link sealJson} sealed. Throws `credentials_unreadable`, which does not quote the value. */
export function openJson<Schema extends z.ZodType>(
  vault: Vault,
  { sealed, place, schema }: SealedJson<Schema>,
): z.output<Schema> {
  const parsed = parseSecretJson(vault.open(sealed, place), schema);
  if (parsed === undefined) throw unreadable(place, 'its content does not have the expected format');
  return parsed;
}

/** Returns a value as JSON that contains its secrets. */
export function toSecretJson(value: unknown): Secret<string> {
  return new Secret(toRevealedJson(value));
}

/** Parses JSON that may contain secrets. Returns undefined if it does not fit: an error would quote it. */
export function parseSecretJson<Schema extends z.ZodType>(
  text: Secret<string>,
  schema: Schema,
): z.output<Schema> | undefined {
  return text.map((json) => schema.safeParse(parseExactJson(json)).data).reveal();
}
