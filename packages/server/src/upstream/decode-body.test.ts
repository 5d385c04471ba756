import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { decodeBody } from './decode-body.ts';

const text = Buffer.from('{"access_token":"at-1","token_type":"bearer"}');
const maxBytes = 1_000;

for (const [contentEncoding, body] of [
  ['gzip', gzipSync(text)],
  ['X-GZip', gzipSync(text)],
  ['deflate', deflateSync(text)],
  ['deflate', deflateRawSync(text)],
  ['br', brotliCompressSync(text)],
  ['zstd', zstdCompressSync(text)],
  ['gzip, br', brotliCompressSync(gzipSync(text))],
  ['gzip,gzip', gzipSync(gzipSync(text))],
  [', gzip,', gzipSync(text)],
  ['identity', text],
  ['identity, gzip', gzipSync(text)],
  ['utf-8', text],
  ['', text],
] as const)
  test(`decodes Content-Encoding "${contentEncoding}" (${body.length} bytes)`, async () => {
    assert.deepEqual(await decodeBody(body, { contentEncoding, maxBytes }), text);
  });

test('an empty body has no coding, as after HEAD and 304', async () => {
  assert.equal((await decodeBody(Buffer.alloc(0), { contentEncoding: 'gzip', maxBytes })).length, 0);
});

test('limits the size to which each coding unpacks', async () => {
  const bomb = Buffer.alloc(maxBytes + 1);
  const twice = gzipSync(gzipSync(Buffer.alloc(10_000_000)));
  for (const [contentEncoding, body] of [
    ['gzip', gzipSync(bomb)],
    ['deflate', deflateSync(bomb)],
    ['deflate', deflateRawSync(bomb)],
    ['br', brotliCompressSync(bomb)],
    ['zstd', zstdCompressSync(bomb)],
    ['gzip, gzip', twice],
  ] as const)
    await assert.rejects(decodeBody(body, { contentEncoding, maxBytes }), { code: 'response_too_large' });
});

test('rejects an unknown coding by its name, and a body that does not match its coding', async () => {
  await assert.rejects(decodeBody(text, { contentEncoding: 'gzip, x"y', maxBytes }), /Content-Encoding "x\\"y", which/);
  await assert.rejects(decodeBody(text, { contentEncoding: 'br,br,br,br', maxBytes }), /more than 3 times/);
  for (const contentEncoding of ['gzip', 'deflate', 'br', 'zstd'])
    for (const body of [text, gzipSync(text).subarray(0, 30)])
      await assert.rejects(decodeBody(body, { contentEncoding, maxBytes }), { code: 'request_failed' });
});
