import { z } from 'zod';
import type { Fields } from '../../schema/fields.ts';
import { credentialFieldsSchema, namedGroups } from '../../schema/input-fields.ts';
import type { AuthMode } from '../auth-mode.ts';
import { secretsOfPlaceholders, withPlaceholders } from '../auth-values.ts';
import { keepRaw, storedRaw } from '../credential-schema.ts';
import { verificationSchema } from './prompted-mode.ts';
import { jwtShape, signConfiguredJwt } from './jwt-fields.ts';

/** The keys of `auth` under JWT. */
function jwtAuthShape(fields: Fields) {
  return {
    credentials: credentialFieldsSchema.default({}).describe('Fields to prompt for; stored as raw.*'),
    jwt: z
      .strictObject(jwtShape(fields))
      .transform(withPlaceholders)
      .describe('The token that is signed for each request'),
    verification: verificationSchema(fields),
    authorization_scheme: fields.text().default('Bearer').describe('Scheme before the token in Authorization'),
  };
}

type JwtAuth = z.output<z.ZodObject<ReturnType<typeof jwtAuthShape>>> & { readonly auth_mode: 'JWT' };

/**
 * `JWT`: the server signs a token for each request (RFC 7519), with the user's key or the application's. APIs of app
 * stores and server-to-server apps work this way.
 */
export const jwt: AuthMode<JwtAuth> = {
  name: 'JWT',
  authShape: jwtAuthShape,
  endpoints: () => [],
  signsWith: ({ jwt: { placeholders } }) => secretsOfPlaceholders(placeholders),
  credentialsInput: z.looseObject({}).transform((values) => ({ raw: keepRaw(values) })),
  storedCredentials: z.object({ raw: storedRaw }),
  times: [],
  placeholders: {},
  sign(_request, { credentials, config, integration, context }) {
    const token = signConfiguredJwt(integration.auth.jwt, { integration, config, raw: credentials.raw }, context);
    return { authorization: `${integration.auth.authorization_scheme} ${token.reveal()}` };
  },
  prompted: {
    fields: ({ auth }) => auth.credentials,
    verification: ({ auth }) => auth.verification,
    async accept({ integration, config, values }, context) {
      const raw = values.map((texts) => ({
        ...keepRaw(texts).reveal(),
        ...namedGroups(integration.auth.credentials, texts),
      }));
      // Signs once, so that a key that cannot sign is reported now and not by the first request.
      signConfiguredJwt(integration.auth.jwt, { integration, config, raw }, context);
      return { raw };
    },
  },
};
