// The console's files as browsers get them: what is cached, what is allowed, and what is not there.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { brotliCompressSync, brotliDecompressSync, gzipSync } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { consoleRoutes } from '../../src/http/console.ts';
import { docsRoutes } from '../../src/http/docs.ts';
import { createServer } from '../../src/http/server.ts';

const SCRIPT = `console.log(${JSON.stringify('x'.repeat(3_000))});`;
const INDEX =
  '<!doctype html><meta name="csp-nonce" content="__CSP_NONCE__"><script src="/assets/index-AbCd1234.js"></script>';

describe('the console', () => {
  let parent: string;
  let dist: string;
  let app: FastifyInstance;
  let port: number;

  before(async () => {
    parent = await mkdtemp(join(tmpdir(), 'darkspere-console-'));
    dist = join(parent, 'dist');
    app = createServer({ name: 'test', logger: pino({ level: 'silent' }), isClosing: () => false });
    docsRoutes(app);
    app.get('/v1/known', async () => ({ ok: true }));
    await consoleRoutes(app, { directory: dist });
    await app.listen({ port: 0, host: '127.0.0.1' });
    port = (app.server.address() as AddressInfo).port;
  });
  after(async () => {
    await app.close();
    await rm(parent, { recursive: true });
  });

  /** Byte for byte: fetch would tidy the path up and unpack the answer. */
  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    new Promise<{ status: number; headers: Record<string, string>; bytes: Buffer; text: string }>((resolve, reject) => {
      const asked = httpRequest({ host: '127.0.0.1', port, path, method, headers }, async (response) => {
        const bytes = Buffer.concat(await response.toArray());
        const given = response.headers as Record<string, string>;
        resolve({ status: response.statusCode!, headers: given, bytes, text: bytes.toString() });
      });
      asked.on('error', reject).end();
    });
  const HTML = { accept: 'text/html,application/xhtml+xml' };

  async function build(): Promise<void> {
    await mkdir(join(dist, 'assets'), { recursive: true });
    await writeFile(join(parent, 'secret.txt'), 'secret');
    await writeFile(join(dist, '.built'), 'hash');
    await writeFile(join(dist, 'index.html'), INDEX);
    await writeFile(join(dist, 'theme.js'), '1');
    await writeFile(join(dist, 'assets/index-AbCd1234.js'), SCRIPT);
    await writeFile(join(dist, 'assets/index-AbCd1234.js.br'), brotliCompressSync(SCRIPT));
    await writeFile(join(dist, 'assets/index-AbCd1234.js.gz'), gzipSync(SCRIPT));
  }

  test('is a page that says how to build it, until it was built', async () => {
    const missing = await get('/', HTML);
    assert.equal(missing.status, 503);
    assert.match(missing.text, /npm run console/);
    assert.match(missing.headers['content-security-policy']!, /script-src 'self'/);
    assert.equal((await get('/assets/index-AbCd1234.js')).status, 404);
    await build();
    const there = await get('/', HTML);
    assert.equal(there.status, 200);
  });

  test('says of a range or a condition that does not hold what HTTP says of it', async () => {
    for (const [headers, status] of [
      [{ range: 'bytes=99999999-' }, 416],
      [{ 'if-match': '"x"' }, 412],
      [{ 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' }, 412],
    ] as const) {
      const answer = await get('/theme.js', headers);
      assert.equal(answer.status, status, JSON.stringify(headers));
      assert.equal(JSON.parse(answer.text).error.code, 'request_refused');
    }
  });

  test('allows itself and nothing else', async () => {
    const { headers, text } = await get('/', HTML);
    const policy = headers['content-security-policy']!;
    const nonce = /'nonce-([^']+)'/.exec(policy)![1]!;
    assert.equal(
      policy,
      "default-src 'self'; script-src 'self'; " +
        `style-src 'self' 'nonce-${nonce}'; ` +
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    );
    assert.ok(text.includes(`content="${nonce}"`));
    assert.notEqual(/'nonce-([^']+)'/.exec((await get('/', HTML)).headers['content-security-policy']!)![1], nonce);
    const rest = ['x-content-type-options', 'referrer-policy', 'cross-origin-opener-policy', 'x-frame-options'];
    assert.deepEqual(
      rest.map((name) => headers[name]),
      ['nosniff', 'no-referrer', 'same-origin', 'DENY'],
    );
    assert.match(headers['permissions-policy']!, /camera=\(\)/);
    assert.equal(headers['cache-control'], 'no-store');
  });

  test('files with a hash in their names are kept for ever, in the smallest form the browser reads', async () => {
    const path = '/assets/index-AbCd1234.js';
    const brotli = await get(path, { 'accept-encoding': 'gzip, br' });
    assert.equal(brotli.headers['content-encoding'], 'br');
    assert.equal(brotliDecompressSync(brotli.bytes).toString(), SCRIPT);
    assert.equal(brotli.headers['cache-control'], 'public, max-age=31536000, immutable');
    assert.match(brotli.headers['content-type']!, /javascript/);
    assert.match(brotli.headers.vary ?? '', /accept-encoding/i);
    assert.equal((await get(path, { 'accept-encoding': 'gzip' })).headers['content-encoding'], 'gzip');
    const plain = await get(path);
    assert.deepEqual([plain.headers['content-encoding'], plain.text], [undefined, SCRIPT]);
    assert.equal(plain.headers['x-content-type-options'], 'nosniff');
  });

  test('other files are asked about each time', async () => {
    const { headers } = await get('/theme.js');
    assert.equal(headers['cache-control'], 'no-cache');
    assert.equal((await get('/theme.js', { 'if-none-match': headers.etag! })).status, 304);
  });

  test('an address of a page is the page; everything else that is not there is said to be missing', async () => {
    for (const path of ['/conversations/0190', '/login', '/phone?from=1']) {
      const answer = await get(path, HTML);
      assert.deepEqual([answer.status, answer.headers['cache-control']], [200, 'no-store'], path);
    }
    const missing: [string, Record<string, string>, string?][] = [
      ['/v1/unknown', HTML],
      ['/v1', HTML],
      ['/webhooks/twilio/unknown', HTML],
      ['/docs/unknown', HTML],
      ['/assets/index-unknown1.js', HTML],
      ['/assets/', HTML],
      ['/unknown.png', HTML],
      ['/index.html', HTML],
      ['/assets/index-AbCd1234.js.br', HTML],
      ['/.built', HTML],
      ['/conversations', { accept: 'application/json' }],
      ['/conversations', HTML, 'POST'],
      ['/%', HTML],
      ['/%00.js', HTML],
    ];
    for (const [path, headers, method] of missing) {
      const answer = await get(path, headers, method);
      const isRefused = [400, 404].includes(answer.status) && JSON.parse(answer.text).error.code.length > 0;
      assert.ok(isRefused, `${path} answered ${answer.status}`);
    }
  });

  test('no path leads out of it', async () => {
    const ways = [
      '/../secret.txt',
      '/assets/../../secret.txt',
      '/%2e%2e/secret.txt',
      '/..%2fsecret.txt',
      '/assets/..%5c..%5csecret.txt',
      '//secret.txt',
      '/assets/....//secret.txt',
    ];
    for (const path of ways) {
      const answer = await get(path, HTML);
      assert.ok(!answer.text.includes('secret') || answer.status >= 400, path);
      assert.ok([400, 403, 404].includes(answer.status), `${path} answered ${answer.status}`);
      assert.equal(JSON.parse(answer.text).error.doc_url.startsWith('/docs/errors#'), true);
    }
  });

  test('the reference of errors is a page for people and Markdown for programs', async () => {
    const page = await get('/docs/errors', HTML);
    assert.match(page.text, /<h2 class="code" id="opted_out">/);
    assert.match(page.headers['content-security-policy']!, /default-src 'self'/);
    assert.match((await get('/docs/errors')).headers['content-type']!, /markdown/);
    assert.equal((await get('/docs/style.css')).status, 200);
  });
});
