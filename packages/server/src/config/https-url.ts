import type { Fields } from '../schema/fields.ts';
import { isSecureUrl } from '../schema/loopback-host.ts';

/** Creates the schema of an https URL, or an http URL of a loopback host, without a user name and password. */
export function httpsUrlSchema(fields: Fields) {
  return fields
    .text()
    .transform((text, ctx) => parseHttpsUrl(text, (message) => ctx.addIssue({ code: 'custom', message })));
}

function parseHttpsUrl(text: string, addFault: (message: string) => void): string {
  const url = URL.parse(text);
  // The missing variable was already reported.
  if (text === '') return text;
  if (!url || !/^https?:$/.test(url.protocol)) addFault('must be an https URL');
  else if (!isSecureUrl(url, false)) addFault('must be https (only loopback hosts may use http)');
  else if (url.username !== '' || url.password !== '') addFault('must not contain a user name or password');
  return text;
}
