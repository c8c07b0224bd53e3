// The official conformance suite at our MCP server: at the product itself, with every scenario that needs no tools of the suite's
// own, and at the same endpoint with those tools, with everything that each revision requires. Without the network.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as ask, createServer as createNodeServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import cookie from '@fastify/cookie';
import { pino } from 'pino';
import { prepareAccess } from '../../src/http/authentication.ts';
import { mcpEndpoint } from '../../src/http/mcp/endpoint.ts';
import { createServer } from '../../src/http/server.ts';
import { addApiKey } from '../../src/security/api-keys.ts';
import { createGuessLimit } from '../../src/security/guess-limit.ts';
import { freshDatabase } from '../support/database.ts';
import { createFixtureHandler } from '../support/mcp-fixtures.ts';
import { startWorld } from '../support/world.ts';

const SUITE = fileURLToPath(
  new URL('../../node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url),
);

/** At the product: these need no tools of the suite's own. */
const SCENARIOS: Readonly<Record<string, readonly string[]>> = {
  '2025-11-25': ['server-initialize', 'ping', 'tools-list', 'dns-rebinding-protection'],
  '2026-07-28': ['tools-list', 'dns-rebinding-protection', 'http-header-validation'],
};

/**
 * What a server asks of its client in the middle of a call takes a session in the older revisions, and the suite looks at several
 * streams in a session only. We keep none, and none of our tools asks anything.
 */
const NEEDS_A_SESSION = [
  'tools-call-sampling',
  'tools-call-elicitation',
  'elicitation-sep1034-defaults',
  'elicitation-sep1330-enums',
  'server-sse-multiple-streams',
];

const stack = new AsyncDisposableStack();
let results: string;
before(async () => {
  results = await mkdtemp(join(tmpdir(), 'darkspere-conformance-'));
  stack.defer(() => rm(results, { recursive: true, force: true }));
});
after(() => stack.disposeAsync());

/** The suite sends no key. This adds one and changes nothing else, not even Host and Origin. */
async function withKey(target: string, key: string): Promise<string> {
  const { hostname, port } = new URL(target);
  const proxy = createNodeServer((request, response) => {
    const headers = { ...request.headers, authorization: `Bearer ${key}` };
    const onward = ask({ hostname, port, path: request.url, method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  stack.defer(async () => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return `http://localhost:${(proxy.address() as AddressInfo).port}/mcp`;
}

function runSuite(args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ code: number | null; output: string }>();
  const child = spawn(process.execPath, [SUITE, 'server', '-o', results, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  child.on('error', reject);
  child.on('close', (code) => resolve({ code, output }));
  return promise;
}

describe('the product', () => {
  let url: string;
  before(async () => {
    const world = await startWorld();
    stack.defer(() => world.stop());
    const { key } = await addApiKey(world.database.pools.admin, { name: 'suite', scopes: ['read', 'reply', 'send'] });
    url = await withKey(world.urls.gateway!, key);
  });
  for (const [version, scenarios] of Object.entries(SCENARIOS)) {
    for (const scenario of scenarios) {
      test(`${version}: ${scenario}`, async () => {
        const { code, output } = await runSuite(['--url', url, '--spec-version', version, '--scenario', scenario]);
        assert.equal(code, 0, output);
        assert.match(output, /Passed: [1-9]\d*\/\d+, 0 failed, 0 warnings/);
      });
    }
  }
});

describe('the endpoint with the tools of the suite', () => {
  let url: string;
  before(async () => {
    const db = await freshDatabase({ web: 1, worker: 1, admin: 1 });
    stack.defer(() => db.drop());
    const { key } = await addApiKey(db.pools.admin, { name: 'suite', scopes: ['read'] });
    const logger = pino({ level: 'silent' });
    const app = createServer({ name: 'fixtures', logger, isClosing: () => false });
    await app.register(cookie);
    app.decorateRequest('principal', null);
    prepareAccess(app, { sql: db.pools.web, consoleUrl: 'http://localhost:1', guesses: createGuessLimit() });
    await app.register(mcpEndpoint, { open: async () => createFixtureHandler(), origins: [], logger });
    stack.defer(() => app.close());
    url = await withKey(await app.listen({ port: 0, host: '127.0.0.1' }), key);
  });

  test('2026-07-28: all that it requires', async () => {
    const { code, output } = await runSuite(['--url', url, '--requirements', '2026-07-28']);
    assert.equal(code, 0, output);
  });

  test('2025-11-25: all that it requires of a server without sessions', async () => {
    const baseline = join(results, 'baseline.yml');
    await writeFile(baseline, `server:\n${NEEDS_A_SESSION.map((name) => `  - ${name}\n`).join('')}`);
    const { code, output } = await runSuite([
      '--url',
      url,
      '--requirements',
      '2025-11-25',
      '--expected-failures',
      baseline,
    ]);
    assert.equal(code, 0, output);
  });
});
