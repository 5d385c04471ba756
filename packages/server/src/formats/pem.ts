import { createPrivateKey, type KeyObject } from 'node:crypto';

const BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----([^-:]*)-----END \1-----/g;
const LINE = /.{1,64}/g;

/**
 * Normalizes PEM (RFC 7468 §3) that was pasted with literal `\n`, on one line, indented, or in quotes. Text without PEM
 * is returned unchanged.
 */
export function normalizePem(text: string): string {
  const blocks = [...text.replace(/\\r|\\n/g, '\n').matchAll(BLOCK)].map(([, label = '', body = '']) => {
    const lines = body.replace(/\s+/g, '').match(LINE) ?? [];
    return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
  });
  return blocks.length === 0 ? text : blocks.join('');
}

/** Reads a pasted PEM private key. Throws if there is none; the error's message may contain a part of the key. */
export function readPrivateKey(pem: string): KeyObject {
  return createPrivateKey(normalizePem(pem));
}
