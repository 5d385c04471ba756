import { memberAt } from '../formats/json-path.ts';
import { Secret, secretTextsIn } from '../vault/secret.ts';

/**
 * Returns the secrets in a response, so that no message quotes them. `members` are the dotted paths at which this kind
 * of response holds secrets.
 */
export function responseSecrets(response: unknown, members: readonly string[]): Secret<string>[] {
  return members.flatMap((path) => secretTextsIn(new Secret(memberAt(response, path))));
}
