import { z } from 'zod';
import { credentialSecret, keepRaw, storedSecret } from '../credential-schema.ts';
import { promptedCredentialsShape, promptedMode, type PromptedCredentials } from './prompted-mode.ts';
import type { Secret } from '../../vault/secret.ts';

interface ApiKeyCredentials extends PromptedCredentials {
  readonly api_key: Secret<string>;
}

/** `API_KEY`: the user's own key. */
export const apiKey = promptedMode<ApiKeyCredentials>({
  name: 'API_KEY',
  fields: { api_key: { label: 'API key' } },
  credentialsInput: z
    .looseObject({ api_key: credentialSecret })
    .transform((values) => ({ api_key: values.api_key, raw: keepRaw(values) })),
  storedCredentials: z.object({ api_key: storedSecret, ...promptedCredentialsShape }),
  placeholders: { api_key: (credentials) => credentials.api_key },
});
