import { z } from 'zod';
import { credentialText, keepRaw } from '../credential-schema.ts';
import { promptedCredentialsShape, promptedMode, type PromptedCredentials } from './prompted-mode.ts';

interface ApiKeyCredentials extends PromptedCredentials {
  readonly api_key: string;
}

/** `API_KEY`: the user's own key. */
export const apiKey = promptedMode<ApiKeyCredentials>({
  name: 'API_KEY',
  fields: { api_key: { label: 'API key' } },
  credentialsInput: z
    .looseObject({ api_key: credentialText })
    .transform((given) => ({ api_key: given.api_key, raw: keepRaw(given) })),
  storedCredentials: z.object({ api_key: z.string(), ...promptedCredentialsShape }),
  placeholders: { api_key: (credentials) => credentials.api_key },
});
