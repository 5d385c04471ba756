import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChunkedDecoder } from './chunked-decoder.ts';
import { HttpSyntaxError, parseFields, parseHead } from './http1-head.ts';

const head = (fields: string, { status = 'HTTP/1.1 200 OK', method = 'GET' } = {}) =>
  parseHead([status, ...fields.split('|').filter(Boolean)].join('\r\n'), method);

test('how the body ends is read from head and method (RFC 9112 §6.3)', () => {
  assert.equal(head('Content-Length: 12').body, 12);
  assert.equal(head('Transfer-Encoding: Chunked').body, 'chunked');
  assert.equal(head('X: y').body, 'until-close');
  assert.equal(head('Content-Length: 12', { method: 'HEAD' }).body, 0);
  for (const status of ['HTTP/1.1 204 No Content', 'HTTP/1.1 304 Not Modified', 'HTTP/1.1 103 Early Hints'])
    assert.equal(head('Content-Length: 12', { status }).body, 0);
});

test('a connection is used again unless either side said no', () => {
  assert.equal(head('Content-Length: 0').isPersistent, true);
  assert.equal(head('Content-Length: 0|Connection: Keep-Alive, Close').isPersistent, false);
  assert.equal(head('Content-Length: 0', { status: 'HTTP/1.0 200 OK' }).isPersistent, false);
  assert.equal(head('').isPersistent, false);
});

test('names are lowered, repeated fields are lists, and names that objects have are names', () => {
  const { headers, status, statusMessage } = head(
    'Set-Cookie: a=1|SET-cookie: b=2|__proto__: x|constructor: y|Empty:',
    {
      status: 'HTTP/1.1 299 Fine Too',
    },
  );
  assert.deepEqual([status, statusMessage], [299, 'Fine Too']);
  assert.deepEqual(
    Object.entries(headers).map(([name, value]) => [name, value]),
    [
      ['set-cookie', ['a=1', 'b=2']],
      ['__proto__', 'x'],
      ['constructor', 'y'],
      ['empty', ''],
    ],
  );
});

test('P5: an answer that could be read in two ways is refused', () => {
  for (const fields of [
    'Content-Length: 4|Transfer-Encoding: chunked',
    'Content-Length: 4|Content-Length: 5',
    'Content-Length: 4|Content-Length: 4',
    'Content-Length: 4, 4',
    'Content-Length: +4',
    'Content-Length: 0x4',
    'Content-Length: ',
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: chunked|Transfer-Encoding: chunked',
    'Transfer-Encoding: xchunked',
    'Content-Length : 4',
    'X: a| folded',
    'X: a\nY: b',
    'X: a\rY: b',
    'X: a\0b',
    'no colon',
    ': no name',
    'Bad Name: x',
  ])
    assert.throws(() => head(fields), HttpSyntaxError, fields);
  for (const status of ['HTTP/2 200 OK', 'HTTP/1.1 20 OK', 'HTTP/1.1  200 OK', 'http/1.1 200', 'HTTP/1.1 200 a\0', ''])
    assert.throws(() => head('', { status }), HttpSyntaxError, status);
});

test('a body in chunks is the same however it is cut', () => {
  const wire = Buffer.from('4;name="v"\r\nabcd\r\n00010\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\nNEXT');
  for (let cut = 0; cut <= wire.length; cut += 1) {
    let body = '';
    const decoder = new ChunkedDecoder((bytes) => (body += bytes.toString()));
    const rest = decoder.push(wire.subarray(0, cut)) ?? decoder.push(wire.subarray(cut));
    assert.equal(body, 'abcd0123456789abcdef', String(cut));
    assert.equal('NEXT'.startsWith(rest?.toString() ?? 'undefined'), true);
    assert.deepEqual({ ...decoder.trailers }, { 'x-sum': '1', 'x-more': '2' });
  }
});

test('P5: chunks that are not to the letter are refused', () => {
  for (const wire of [
    'x\r\n',
    '-1\r\n',
    '0x4\r\nabcd\r\n',
    ' 4\r\nabcd\r\n',
    '4\nabcd\n',
    '4\r\nabcde\r\n',
    '4\r\nabcd0\r\n\r\n',
    '1000000000000\r\n',
    `4;${'x'.repeat(300)}`,
    '0\r\nX : 1\r\n\r\n',
    `0\r\n${'X: 1\r\n'.repeat(5_000)}`,
  ])
    assert.throws(() => new ChunkedDecoder(() => undefined).push(Buffer.from(wire)), HttpSyntaxError, wire);
});

test('trailers may be absent', () => {
  const decoder = new ChunkedDecoder(() => undefined);
  assert.equal(decoder.push(Buffer.from('0\r\n\r\n'))?.length, 0);
  assert.deepEqual({ ...decoder.trailers, ...parseFields('') }, {});
});
