import { z } from 'zod';
import { credentialText, keepRaw } from '../credential-schema.ts';
import { enteredCredentialsShape, enteredMode, type EnteredCredentials } from './entered-mode.ts';

interface ApiKeyCredentials extends EnteredCredentials {
  readonly api_key: string;
}

/** `API_KEY`: the user's own key. */
export const apiKey = enteredMode<ApiKeyCredentials>({
  name: 'API_KEY',
  fields: { api_key: { label: 'API key' } },
  credentialsInput: z
    .looseObject({ api_key: credentialText })
    .transform((given) => ({ api_key: given.api_key, raw: keepRaw(given) })),
  storedCredentials: z.object({ api_key: z.string(), ...enteredCredentialsShape }),
  placeholders: { api_key: (credentials) => credentials.api_key },
});
