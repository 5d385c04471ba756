import { X509Certificate } from 'node:crypto';
import type { ClientCertificate } from '../oauth/oauth-http.ts';
import { normalizePem, readPrivateKey } from '../formats/pem.ts';

/** Returns a certificate and its key as normalized PEM; undefined if they do not belong together. */
export function readClientCertificate({ certificate, key }: ClientCertificate): ClientCertificate | undefined {
  const pem = { certificate: normalizePem(certificate), key: normalizePem(key) };
  try {
    return new X509Certificate(pem.certificate).checkPrivateKey(readPrivateKey(pem.key)) ? pem : undefined;
  } catch {
    // The parser's message may hold a part of the key.
    return undefined;
  }
}
