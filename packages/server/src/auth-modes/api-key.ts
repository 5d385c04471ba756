import { z } from 'zod';
import type { AuthMode, BaseCredentials } from './auth-mode.ts';
import { credentialText, keepRaw, rawObject } from './credential-schema.ts';
import { enteredAuthShape, type EnteredAuth } from './verification.ts';

interface ApiKeyCredentials extends BaseCredentials {
  readonly api_key: string;
}

/** `API_KEY`: the user's own key, registered by the application. */
export const apiKey: AuthMode<EnteredAuth, ApiKeyCredentials> = {
  name: 'API_KEY',
  usesOAuthClient: false,
  authShape: enteredAuthShape,
  entered: { verification: ({ auth }) => auth.verification },
  credentialsInput: z
    .looseObject({ api_key: credentialText })
    .transform((given) => ({ api_key: given.api_key, raw: keepRaw(given) })),
  storedCredentials: z.object({ api_key: z.string(), raw: rawObject }),
  placeholders: { api_key: (credentials) => credentials.api_key },
};
