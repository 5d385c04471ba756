import assert from 'node:assert/strict';
import { test } from 'node:test';
import aws4 from 'aws4';
import { awsSigV4 } from './aws-sigv4.ts';
import type { SignableRequest } from '../auth-mode.ts';
import { integrationOf } from '../../../../../test/support/integration.ts';

const CREDENTIALS = { access_key_id: 'AKIDEXAMPLE', secret_access_key: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const NOW = Date.UTC(2015, 7, 30, 12, 36, 0);

function sign(request: SignableRequest, { service = 'service', region = 'us-east-1', session = '' } = {}) {
  const integration = integrationOf(awsSigV4, { service, region: '${config.region}' });
  const credentials = awsSigV4.credentialsInput.parse({ ...CREDENTIALS, session_token: session || undefined });
  const context = { now: () => NOW, randomToken: () => '' };
  return awsSigV4.sign?.(request, { credentials, integration, config: { region }, context }) ?? {};
}

/** Signs the request with aws4, an independent implementation. */
function expected(
  { method, url, headers, body }: SignableRequest,
  { service = 'service', region = 'us-east-1', session = '' } = {},
) {
  const { host, pathname, search } = new URL(url);
  const signed = aws4.sign(
    {
      host,
      method,
      path: pathname + search,
      service,
      region,
      body: body ?? '',
      headers: {
        ...headers,
        'X-Amz-Date': '20150830T123600Z',
        'X-Amz-Content-Sha256': sign({ method, url, headers, body })['x-amz-content-sha256'] ?? '',
      },
      extraHeadersToIgnore: { 'content-length': true },
    } as never,
    {
      accessKeyId: CREDENTIALS.access_key_id,
      secretAccessKey: CREDENTIALS.secret_access_key,
      ...(session ? { sessionToken: session } : {}),
    },
  );
  return (signed.headers as Record<string, string>)['Authorization'];
}

const REQUESTS: [string, SignableRequest, Parameters<typeof sign>[1]?][] = [
  ['a plain GET', { method: 'GET', url: 'https://example.amazonaws.com/', headers: {}, body: undefined }],
  [
    'a sorted query',
    { method: 'GET', url: 'https://example.amazonaws.com/?b=2&a=1&a=0&c', headers: {}, body: undefined },
  ],
  [
    'an encoded query',
    { method: 'GET', url: 'https://example.amazonaws.com/?p=%E1%88%B4%20%2B%26*%27', headers: {}, body: undefined },
  ],
  [
    'a path encoded once more',
    { method: 'GET', url: 'https://example.amazonaws.com/a%20b/%E1%88%B4', headers: {}, body: undefined },
  ],
  [
    'a JSON body',
    {
      method: 'POST',
      url: 'https://example.amazonaws.com/x',
      headers: { 'content-type': 'application/json' },
      body: '{"ü":1}',
    },
  ],
  [
    'headers of AWS alone',
    {
      method: 'PUT',
      url: 'https://example.amazonaws.com/x',
      headers: { 'x-amz-target': 'A  B', 'content-type': 'text/plain' },
      body: 'x',
    },
  ],
  [
    'a session token',
    { method: 'GET', url: 'https://example.amazonaws.com/', headers: {}, body: undefined },
    { session: 'token/+=' },
  ],
  ['a port', { method: 'GET', url: 'https://localhost:8443/x', headers: {}, body: undefined }],
  [
    'S3, whose path is encoded once',
    { method: 'GET', url: 'https://bucket.s3.eu-west-1.amazonaws.com/a%20b/c(1)%2B', headers: {}, body: undefined },
    { service: 's3', region: 'eu-west-1' },
  ],
];

for (const [name, request, options] of REQUESTS) {
  test(`signs ${name} as aws4 does`, () => {
    assert.equal(sign(request, options)['authorization'], expected(request, options));
  });
}
