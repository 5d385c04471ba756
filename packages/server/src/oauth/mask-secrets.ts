import type { Secret } from '../vault/secret.ts';

// A shorter text may be an ordinary word, so it is masked only if it is a whole word.
const SURELY_SECRET = 8;
const MIN_SECRET = 4;
const MASK = '[secret]';

/**
 * Replaces `secrets` in a text, also if they are re-encoded: percent-, form-, JSON-, HTML-, hex- or base64-encoded, in
 * any case and at any offset of a longer base64 text. The time is linear in the text.
 */
export function maskSecrets(text: string, secrets: readonly Secret<string>[]): string {
  let masked = text;
  for (const secret of revealed(secrets)) {
    if (secret.length < MIN_SECRET) continue;
    for (const form of formsOf(secret)) masked = maskForm(masked, form);
  }
  return masked;
}

/** Returns the length of the longest form of these secrets, in characters. */
export function longestForm(secrets: readonly Secret<string>[]): number {
  return Math.max(0, ...[...revealed(secrets)].flatMap((secret) => formsOf(secret).map(({ length }) => length)));
}

function revealed(secrets: readonly Secret<string>[]): Set<string> {
  return new Set(secrets.map((secret) => secret.reveal()));
}

function formsOf(secret: string): string[] {
  const wellFormed = secret.toWellFormed();
  const percent = encodeURIComponent(wellFormed);
  const bytes = Buffer.from(wellFormed);
  const json = JSON.stringify(wellFormed).slice(1, -1);
  const forms = [
    secret,
    percent,
    encodeURIComponent(percent),
    new URLSearchParams([[wellFormed, '']]).toString().slice(0, -1),
    json,
    json.replaceAll('/', String.raw`\/`),
    htmlOf(wellFormed, '&#39;'),
    htmlOf(wellFormed, '&#x27;'),
    htmlOf(wellFormed, '&apos;'),
    bytes.toString('hex'),
    ...[0, 1, 2].flatMap((offset) => base64At(bytes, offset)),
  ];
  // Longest first: a short form may be part of a longer one, whose rest would then stay unmasked.
  return [...new Set(forms)].filter((form) => form.length >= MIN_SECRET).toSorted((a, b) => b.length - a.length);
}

function htmlOf(text: string, apostrophe: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", apostrophe);
}

/**
 * Returns the part of a base64 text that depends only on these bytes, if they begin `offset` bytes after a multiple of
 * three.
 */
function base64At(bytes: Buffer, offset: number): string[] {
  const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64url');
  const whole = Math.floor(((offset + bytes.length) * 8) / 6);
  const core = text.slice(Math.ceil((offset * 8) / 6), whole);
  return core.length < SURELY_SECRET ? [] : [core, core.replaceAll('-', '+').replaceAll('_', '/')];
}

/** Masks one form. It compares letters without case, because percent triplets and hexadecimal digits occur in both. */
function maskForm(text: string, form: string): string {
  const searched = foldCase(text);
  const sought = foldCase(form);
  let masked = '';
  let copied = 0;
  for (let at = searched.indexOf(sought); at !== -1; at = searched.indexOf(sought, at + sought.length)) {
    if (form.length < SURELY_SECRET && !standsAlone(text, at, form.length)) continue;
    masked += text.slice(copied, at) + MASK;
    copied = at + form.length;
  }
  return copied === 0 ? text : masked + text.slice(copied);
}

/** Lower-cases only ASCII, so that no character changes its length. */
function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function standsAlone(text: string, at: number, length: number): boolean {
  return !/\w/.test(text.charAt(at - 1)) && !/\w/.test(text.charAt(at + length));
}
