import type { IncomingMessage } from 'node:http';
import { joinEndpoint } from '../../packages/server/src/calls/join-endpoint.ts';
import { nextLink } from '../../packages/server/src/calls/next-link.ts';
import { parseCursor } from '../../packages/server/src/connections/cursor.ts';
import { responseJson } from '../../packages/server/src/calls/response-json.ts';
import { redirectOf } from '../../packages/server/src/calls/redirects.ts';
import { parseCookies } from '../../packages/server/src/http/cookies.ts';
import { requestHeaders, responseHeaders } from '../../packages/server/src/http/proxy/proxy-headers.ts';
import { uniqueParams } from '../../packages/server/src/http/routes/unique-params.ts';
import { bearerToken } from '../../packages/server/src/http/secret-keys.ts';
import { memberAt } from '../../packages/server/src/formats/json-path.ts';
import { maskSecrets } from '../../packages/server/src/oauth/mask-secrets.ts';
import { excerpt } from '../../packages/server/src/oauth/oauth-error.ts';
import { parseAuthorizationResponse } from '../../packages/server/src/oauth/authorization-response.ts';
import { parseExactJson, parseJson } from '../../packages/server/src/formats/parse-json.ts';
import { challengedMetadata } from '../../packages/server/src/oauth/discovery/protected-resource-metadata.ts';
import { processTokenResponse } from '../../packages/server/src/oauth/token-response.ts';
import { headerValue, renderUrlTemplate } from '../../packages/server/src/schema/render.ts';
import { splitTemplate, Template } from '../../packages/server/src/schema/template.ts';
import { parseRetryAfter } from '../../packages/server/src/upstream/retry-after.ts';
import { z } from 'zod';
import { identityFrom } from '../../packages/server/src/auth-modes/identity.ts';
import { scopesIn } from '../../packages/server/src/auth-modes/scopes.ts';
import { credentialText } from '../../packages/server/src/auth-modes/credential-schema.ts';
import { userIdSchema } from '../../packages/server/src/connections/connection-input.ts';
import { requestIdOf } from '../../packages/server/src/http/request-id.ts';
import { parseTime } from '../../packages/server/src/formats/parse-time.ts';
import { normalizePem } from '../../packages/server/src/formats/pem.ts';
import { parseSourceFile } from '../../packages/server/src/sources/source-file.ts';
import { CSV_OPTIONS } from '../../packages/server/src/operations/import-file.ts';
import { processCredentialsResponse } from '../../packages/server/src/oauth/oauth1/credentials-request.ts';
import { parse as parseCsv } from 'csv-parse/sync';
import { responseParameters, secret } from './secrets.ts';

const readYaml = (text: string) => parseSourceFile('integrations.yaml', text);
const readCsv = (text: string) => parseCsv(text, CSV_OPTIONS);

/** Every function that reads text from users, pages, providers, APIs or callers. It may reject the text. */
export const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  excerpt: (text) => excerpt(text, [secret('secret-1'), secret('<<<<'), secret('{}{}')]),
  maskSecrets: (text) => maskSecrets(text, [secret('secret-1'), secret('<<<<'), secret('{}{}')]),
  scopesIn: (text) => scopesIn({ scope: text }, { path: 'scope', separator: '+' }),
  identityFrom: (text) => identityFrom({ id: text, id_token: text }, { user: 'id_token.sub', name: 'id' }),
  parseJson,
  parseTime,
  normalizePem,
  'normalizePem, block': (text) => normalizePem(`-----BEGIN KEY-----${text}-----END KEY-----`),
  'processTokenResponse, time': (text) => {
    const body = JSON.stringify({ access_token: 'a', expires_in: text, at: text });
    const format = { tokenTypes: undefined, paths: { expires_at: 'at' }, expiresInUnit: 'seconds' } as const;
    return processTokenResponse({ status: 200, contentType: 'application/json', body: secret(body) }, format, []);
  },
  userId: (text) => userIdSchema.safeParse(text),
  requestId: (text) => requestIdOf({ 'x-request-id': text }),
  credentialText: (text) => credentialText.safeParse(text),
  parseExactJson: (text) => parseExactJson(text),
  'parseExactJson, numbers': (text) => parseExactJson(`[12345678901234567,${JSON.stringify(text)}]`),
  responseJson: (text) => responseJson('text/plain', text),
  'responseJson, media type': (text) => responseJson(text, '{}'),
  processTokenResponse: (body) =>
    processTokenResponse(
      { status: 200, contentType: 'application/json', body: secret(body) },
      { tokenTypes: undefined, paths: { access_token: 'a.*.b' }, expiresInUnit: 'seconds' },
      [secret('secret-1')],
    ),
  'processTokenResponse, refused': (body) =>
    processTokenResponse(
      { status: 400, contentType: 'text/html', body: secret(body) },
      { tokenTypes: undefined, paths: {}, expiresInUnit: 'seconds' },
      [secret('secret-1')],
    ),
  parseAuthorizationResponse: (text) =>
    parseAuthorizationResponse(
      responseParameters([
        ['error', text],
        ['error_description', text],
      ]),
      {
        issuer: undefined,
        issuerRequired: false,
        authorizationUrl: 'https://acme.example/a',
        codeParameter: 'code',
      },
    ),
  'parseAuthorizationResponse, iss': (text) =>
    parseAuthorizationResponse(responseParameters([['iss', text]]), {
      issuer: undefined,
      issuerRequired: true,
      authorizationUrl: 'https://acme.example/a',
      codeParameter: 'code',
    }),
  'form of a callback, its code': (text) => uniqueParams(`state=s&code=${text}`).secret('code'),
  'form of a callback, sent on': (text) => new URLSearchParams(text).toString(),
  'processCredentialsResponse, OAuth 1.0a': (text) => {
    const body = `oauth_token=a&oauth_token_secret=${text}`;
    return processCredentialsResponse({ status: 200, contentType: 'text/plain', body: secret(body) }, [
      secret('secret-1'),
    ]);
  },
  'processCredentialsResponse, refused': (body) =>
    processCredentialsResponse({ status: 401, contentType: 'text/html', body: secret(body) }, [
      secret('secret-1'),
      secret('<<<<'),
      secret('{}{}'),
    ]),
  // These parsers take long for each byte, so less text is enough to measure their growth.
  readYaml: (text) => readYaml(text.slice(0, text.length / 16)),
  readCsv: (text) => readCsv(text.slice(0, text.length / 16)),
  'readCsv, quoted': (text) => readCsv(`integration,userId,api_key\nacme,1,"${text.slice(0, text.length / 16)}"\n`),
  challengedMetadata,
  memberAt: (text) => memberAt({ a: { [text]: [text] } }, text),
  nextLink,
  uniqueParams,
  parseCookies: (text) => parseCookies(text, true),
  bearerToken,
  parseCursor: (text) => parseCursor(text, z.array(z.string())),
  parseRetryAfter: (text) => parseRetryAfter(text, 0),
  requestHeaders: (text) => requestHeaders({ headers: { connection: text, cookie: text } } as IncomingMessage),
  responseHeaders: (text) => responseHeaders({ connection: text, 'set-cookie': [text] }),
  headerValue: (text) => headerValue('x', text),
  splitTemplate,
  'renderUrlTemplate, origin': (text) => renderUrlTemplate(new Template([{ placeholder: 'config.x' }]), () => text),
  'renderUrlTemplate, origin’s path': (text) =>
    renderUrlTemplate(new Template([{ placeholder: 'config.x' }]), () => `https://acme.example/${text}`),
  'renderUrlTemplate, path': (text) =>
    renderUrlTemplate(new Template(['https://acme.example/', { placeholder: 'config.x' }]), () => text),
  'renderUrlTemplate, host': (text) =>
    renderUrlTemplate(new Template(['https://', { placeholder: 'config.x' }, '.acme.example']), () => text),
  joinEndpoint: (text) =>
    joinEndpoint({ origin: 'https://acme.example', path: '/v1', root: '/v1/', query: 'a=b' }, text),
  redirectOf: (location) =>
    redirectOf(
      {
        method: 'GET',
        status: 302,
        location,
        from: { origin: 'https://acme.example', path: '/', query: '' },
        redirects: 0,
        isReplayable: true,
      },
      { apiOrigin: 'https://acme.example', listed: [], allowHttp: false },
    ),
};

const numbered = (count: number, line: (number: number) => string) =>
  Array.from({ length: Math.ceil(count) }, (_, number) => line(number)).join('');

/** Texts that are not a repeated piece, by their size. */
const SHAPES: Readonly<Record<string, { read: (text: string) => unknown; write: (bytes: number) => string }>> = {
  'readYaml, keys': { read: readYaml, write: (bytes) => numbered(bytes / 8, (key) => `${key}: 1\n`) },
  'readYaml, keys twice': { read: readYaml, write: (bytes) => numbered(bytes / 8, (key) => `${key >> 1}: 1\n`) },
  'readYaml, keys of a flow map': {
    read: readYaml,
    write: (bytes) => `{${numbered(bytes / 8, (key) => `${key}: 1, `)}}`,
  },
  'readYaml, aliases': { read: readYaml, write: (bytes) => `a: &a 1\nb: [${'*a, '.repeat(bytes / 4)}]` },
  'readYaml, anchors and aliases': {
    read: readYaml,
    write: (bytes) => numbered(bytes / 16, (key) => `- &a${key} 1\n`) + numbered(bytes / 16, (key) => `- *a${key}\n`),
  },
  'readYaml, aliases without anchor': { read: readYaml, write: (bytes) => '- *a\n'.repeat(bytes / 5) },
  'readYaml, aliases of a long list': {
    read: readYaml,
    write: (bytes) => `a: &a [${'1,'.repeat(bytes / 4)}]\nb: [${'*a,'.repeat(bytes / 6)}]`,
  },
  'readYaml, deep flow lists': { read: readYaml, write: (bytes) => '['.repeat(bytes / 2) + ']'.repeat(bytes / 2) },
  'readYaml, deep block maps': {
    read: readYaml,
    write: (bytes) => numbered(Math.sqrt(bytes), (level) => `${' '.repeat(level)}a:\n`),
  },
  'readYaml, plain scalar': { read: readYaml, write: (bytes) => `a: ${'x y '.repeat(bytes / 4)}` },
  'readYaml, quoted scalar': { read: readYaml, write: (bytes) => `a: "${'x\\n'.repeat(bytes / 3)}"` },
  'readYaml, quoted lines': { read: readYaml, write: (bytes) => `a: "${'x\n '.repeat(bytes / 3)}"` },
  'readYaml, block scalar': { read: readYaml, write: (bytes) => `a: >\n${'  x\n'.repeat(bytes / 4)}` },
  'readYaml, number': { read: readYaml, write: (bytes) => `a: ${'1'.repeat(bytes)}` },
  'readCsv, rows': { read: readCsv, write: (bytes) => `integration,userId\n${'acme,1\n'.repeat(bytes / 7)}` },
  'readCsv, columns': {
    read: readCsv,
    write: (bytes) =>
      `${numbered(bytes / 16, (column) => `c${column},`)}x\n${numbered(bytes / 16, (column) => `v${column},`)}x\n`,
  },
};

/** The pieces to repeat. Each begins something that a careless reader looks for to the end of the text. */
const PIECES = [
  '<',
  '<>',
  '<a>;',
  '<a>; rel="',
  '<script>',
  '</',
  '>',
  '{',
  '{}',
  '{},',
  '[',
  '[{},',
  '{"a":',
  '"',
  '\\"',
  '"\\\\',
  ',',
  ';',
  '; ',
  ' ',
  '\t',
  '\n',
  '\r\n',
  '=',
  '&',
  'a=',
  'a=b&',
  '%',
  '%25',
  '%2e',
  '%c3',
  '/',
  '//',
  '/a',
  '../',
  '..%2f',
  '?',
  '#',
  ':',
  '@',
  '.',
  'a.',
  '\\.',
  '-',
  '_',
  '0',
  '1',
  'e1',
  'a',
  'A',
  'ä',
  '😀',
  '\ud800',
  '\u2028',
  '\u0130',
  '\0',
  '$',
  '${',
  '${a}',
  'secret-',
  'resource_metadata="',
  'Bearer ',
  'W/"',
  "'",
  '(',
  '*',
  '+',
];

/** One reader on one repeated piece, with milliseconds of processor time for half and for all of the text. */
export interface Growth {
  readonly reader: string;
  readonly piece: string;
  readonly half: number;
  readonly whole: number;
}

// A shorter time cannot delay a server, and the clock cannot measure it.
const NEGLIGIBLE_MS = 8;
const RUNS = 12;
/** The bar for t(2n) / t(n), which is 2 for linear time and 4 for quadratic time. */
const MAX_RATIO = 3;

/**
 * Runs every reader on every shape, and on every piece repeated to `bytes`. Returns those whose time grows
 * faster than the text.
 */
export function findNonlinear(bytes: number, readers: Iterable<string> = Object.keys(READERS)): Growth[] {
  const found: (Growth | undefined)[] = [];
  for (const reader of readers) {
    const read = READERS[reader];
    if (!read) throw new Error(`There is no reader ${reader}.`);
    for (const piece of PIECES)
      // A text of one piece only, and a text with a different end.
      for (const end of ['', '\u0001x']) {
        const write = (size: number) => piece.repeat(Math.ceil(size / piece.length)) + end;
        found.push(measure({ reader, piece, read, write }, bytes));
      }
  }
  for (const [reader, shape] of Object.entries(SHAPES)) found.push(measure({ reader, piece: '', ...shape }, bytes / 2));
  return found.filter((growth) => growth !== undefined);
}

interface Measured {
  readonly reader: string;
  readonly piece: string;
  readonly read: (text: string) => unknown;
  readonly write: (bytes: number) => string;
}

/** Superlinear time shows at every size. A busy machine makes only one size look slow. */
function measure(measured: Measured, bytes: number): Growth | undefined {
  return measureAt(measured, bytes) && measureAt(measured, bytes * 2) && measureAt(measured, bytes);
}

function measureAt({ reader, piece, read, write }: Measured, bytes: number): Growth | undefined {
  const [half, whole] = [write(bytes / 2), write(bytes)];
  const best = { half: Infinity, whole: Infinity };
  // The minimum of several runs, because other work of the machine only adds time.
  for (let run = 0; run < RUNS; run += 1) {
    best.whole = Math.min(best.whole, timeOf(read, whole));
    if (best.whole < NEGLIGIBLE_MS) return undefined;
    best.half = Math.min(best.half, timeOf(read, half));
    if (best.whole / best.half <= MAX_RATIO) return undefined;
  }
  return { reader, piece, ...best };
}

function timeOf(read: (text: string) => unknown, text: string): number {
  const before = process.cpuUsage();
  try {
    read(text);
  } catch {
    // The reader rejected the text.
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
