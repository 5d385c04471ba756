import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes by their place. */
export type Places = Readonly<Record<string, Buffer>>;

/** Lists each secret that is found, with its place and encoding, as "secret in place (encoding)". */
export function findSecrets(secrets: Readonly<Record<string, string>>, places: Places): string[] {
  return Object.entries(places).flatMap(([place, bytes]) =>
    Object.entries(secrets).flatMap(([name, secret]) =>
      Object.entries(encodingsOf(secret))
        .filter(([, forms]) => forms.some((form) => bytes.includes(form)))
        .map(([encoding]) => `${name} in ${place} (${encoding})`),
    ),
  );
}

/** Every form in which text of a database, a dump or a URL may hold a secret. */
function encodingsOf(secret: string): Record<string, (string | Buffer)[]> {
  const hex = Buffer.from(secret).toString('hex');
  const percent = encodeURIComponent(secret);
  return {
    raw: [secret],
    base64: alignments(secret, 'base64'),
    base64url: alignments(secret, 'base64url'),
    hex: [hex, hex.toUpperCase()],
    'percent-encoded': [percent, percent.toLowerCase(), new URLSearchParams([['', secret]]).toString().slice(1)],
    'percent-encoded twice': [encodeURIComponent(percent)],
    'HTML-escaped': [secret.replaceAll('"', '&quot;')],
    'JSON-escaped': [escaped(secret), escaped(escaped(secret))],
    'UTF-16': [Buffer.from(secret, 'utf16le')],
  };
}

const escaped = (text: string) => JSON.stringify(text).slice(1, -1);

/** Base64 of text at each offset in a group of three bytes, without the digits that its neighbours change. */
function alignments(secret: string, encoding: 'base64' | 'base64url'): string[] {
  return [0, 1, 2].map((offset) => {
    const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)]);
    const whole = bytes.subarray(0, bytes.length - (bytes.length % 3)).toString(encoding);
    return whole.slice(offset === 0 ? 0 : 4);
  });
}

/** Every file below the folders, by its path. */
export function filesOf(...folders: string[]): Places {
  const paths = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  return Object.fromEntries(paths.filter((path) => statSync(path).isFile()).map((path) => [path, readFileSync(path)]));
}
