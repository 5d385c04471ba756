import type { z } from 'zod';
import { JWT_ALGORITHMS, signJwt } from '../../oauth/json-web-token.ts';
import type { Fields } from '../../schema/fields.ts';
import type { AuthModeContext } from '../auth-mode.ts';
import { AUTH_VALUES, renderAuthTemplate, renderAuthTemplates, type AuthValueSources } from '../auth-values.ts';
import { revealText, revealTexts, Secret } from '../../vault/secret.ts';

const MAX_LIFETIME_SECONDS = 86_400;

/**
 * The keys of a JWT in YAML: the key that signs it, and its claims. `names` are placeholders in addition to the common
 * ones.
 */
export function jwtShape(fields: Fields, names: readonly string[] = []) {
  const scope = { names: [...AUTH_VALUES.names, ...names], prefixes: AUTH_VALUES.prefixes };
  return {
    algorithm: fields.choice(JWT_ALGORITHMS).default('RS256').describe('alg header (RFC 7518 §3.1)'),
    key: fields.template(scope).describe('PEM private key, or the shared secret of HS algorithms'),
    key_encoding: fields
      .choice(['text', 'hex', 'base64', 'base64url'])
      .default('text')
      .describe('How a shared secret is written'),
    key_id: fields.template(scope).optional().describe('kid header'),
    claims: fields.params(scope).default({}).describe('Claims other than iat and exp (RFC 7519 §4.1)'),
    lifetime_seconds: fields
      .number({ min: 1, max: MAX_LIFETIME_SECONDS })
      .default(300)
      .describe('exp, counted from the moment it is signed'),
    backdate_seconds: fields
      .number({ min: 0, max: 3600 })
      .default(0)
      .describe('How long before now iat is, for providers whose clock may be slow'),
  };
}

type ConfiguredJwt = z.output<z.ZodObject<ReturnType<typeof jwtShape>>>;

/** Signs this JWT. Throws `invalid_value` if the key does not fit the algorithm. */
export function signConfiguredJwt(
  jwt: ConfiguredJwt,
  sources: AuthValueSources,
  { now }: Pick<AuthModeContext, 'now'>,
): Secret<string> {
  const seconds = Math.floor(now() / 1000);
  const claims = {
    ...revealTexts(renderAuthTemplates(jwt.claims, sources)),
    iat: seconds - jwt.backdate_seconds,
    exp: seconds + jwt.lifetime_seconds,
  };
  const { key_encoding } = jwt;
  const text = renderAuthTemplate(jwt.key, sources);
  const secretText = text instanceof Secret ? text : new Secret(text);
  const key = secretText.map((encoded) => (key_encoding === 'text' ? encoded : Buffer.from(encoded, key_encoding)));
  const keyId = jwt.key_id && revealText(renderAuthTemplate(jwt.key_id, sources));
  return signJwt(claims, { algorithm: jwt.algorithm, key, keyId });
}
