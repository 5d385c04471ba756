import { createHash, createHmac } from 'node:crypto';
import { z } from 'zod';
import { CONNECTION_SCOPE, type Fields } from '../../schema/fields.ts';
import { renderParams } from '../../schema/render.ts';
import type { AuthMode, BaseCredentials, SignableRequest } from '../auth-mode.ts';
import { credentialSecret, credentialText, keepRaw, storedRaw, storedSecret } from '../credential-schema.ts';
import { parsePrompted, verificationSchema } from './prompted-mode.ts';
import type { Secret } from '../../vault/secret.ts';

interface AwsCredentials extends BaseCredentials {
  readonly access_key_id: string;
  readonly secret_access_key: Secret<string>;
  readonly session_token?: Secret<string> | undefined;
}

/** The keys of `auth` under AWS_SIGV4. */
function awsAuthShape(fields: Fields) {
  return {
    service: fields.template(CONNECTION_SCOPE).describe('Service name in the credential scope, such as execute-api'),
    region: fields.template(CONNECTION_SCOPE).describe('Region in the credential scope'),
    verification: verificationSchema(fields),
  };
}

type AwsAuth = z.output<z.ZodObject<ReturnType<typeof awsAuthShape>>> & { readonly auth_mode: 'AWS_SIGV4' };

const credentialsInput = z
  .looseObject({
    access_key_id: credentialText,
    secret_access_key: credentialSecret,
    session_token: credentialSecret.nullish(),
  })
  .transform(({ access_key_id, secret_access_key, session_token, ...rest }) => ({
    access_key_id,
    secret_access_key,
    session_token: session_token ?? undefined,
    raw: keepRaw({ access_key_id, secret_access_key, session_token, ...rest }),
  }));

/** `AWS_SIGV4`: every request is signed with AWS Signature Version 4. */
export const awsSigV4: AuthMode<AwsAuth, AwsCredentials> = {
  name: 'AWS_SIGV4',
  authShape: awsAuthShape,
  endpoints: () => [],
  credentialsInput,
  storedCredentials: z.object({
    access_key_id: z.string(),
    secret_access_key: storedSecret,
    session_token: storedSecret.optional(),
    raw: storedRaw,
  }),
  times: [],
  placeholders: { access_key_id: (credentials) => credentials.access_key_id },
  sign(request, { credentials, config, integration, context }) {
    const { service, region } = integration.auth;
    const scope = renderParams({ service, region }, config);
    return signatureHeaders(request, credentials, { ...scope, date: new Date(context.now()) });
  },
  prompted: {
    fields: () => ({
      access_key_id: { label: 'Access key ID', secret: false },
      secret_access_key: { label: 'Secret access key' },
      session_token: { label: 'Session token', optional: true },
    }),
    verification: ({ auth }) => auth.verification,
    accept: async ({ integration, values }) => parsePrompted(credentialsInput, values, integration),
  },
};

interface SigningScope {
  readonly service?: string;
  readonly region?: string;
  readonly date: Date;
}

/**
 * Returns the headers that AWS Signature Version 4 adds to a request (AWS General Reference, "Signing AWS API
 * requests").
 */
function signatureHeaders(
  { method, url, headers, body = '' }: SignableRequest,
  { access_key_id, secret_access_key, session_token }: AwsCredentials,
  { service = '', region = '', date }: SigningScope,
): Record<string, string> {
  const target = new URL(url);
  const time = date.toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
  const bodyHash = sha256(body);
  const added = {
    'x-amz-content-sha256': bodyHash,
    'x-amz-date': time,
    ...(session_token === undefined ? {} : { 'x-amz-security-token': session_token.reveal() }),
  };
  const signed = Object.entries({ ...headers, ...added, host: target.host })
    .filter(([name]) => /^(host|content-type|x-amz-.*)$/.test(name))
    .map(([name, value]) => [name, value.trim().replaceAll(/ +/g, ' ')] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const names = signed.map(([name]) => name).join(';');
  const canonicalRequest = [
    method,
    canonicalPath(target.pathname, service),
    canonicalQuery(target.search),
    ...signed.map(([name, value]) => `${name}:${value}`),
    '',
    names,
    bodyHash,
  ].join('\n');
  const day = time.slice(0, 8);
  const scope = `${day}/${region}/${service}/aws4_request`;
  const stringToSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonicalRequest)].join('\n');
  const key = [day, region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secret_access_key.reveal()}`);
  const signature = hmac(key, stringToSign).toString('hex');
  const credential = `${access_key_id}/${scope}`;
  return {
    ...added,
    authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`,
  };
}

/** Encodes the path. S3 encodes it once; every other service encodes the encoded path once more. */
function canonicalPath(pathname: string, service: string): string {
  const segments = pathname.split('/');
  return segments.map((segment) => encode(service === 's3' ? decode(segment) : segment)).join('/');
}

function canonicalQuery(search: string): string {
  const pairs = search
    .slice(1)
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const [, name = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(pair) ?? [];
      return [encode(decode(name)), encode(decode(value))] as const;
    });
  const order = pairs.sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)));
  return order.map(([name, value]) => `${name}=${value}`).join('&');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** Percent-encodes everything except unreserved characters (RFC 3986 §2.3). */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A stray "%" stands for itself.
    return text;
  }
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest();
}
