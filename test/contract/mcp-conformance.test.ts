// The official conformance suite drives our client: every scenario that a client without a browser login and without
// questions in the middle of a call can have.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SUITE = fileURLToPath(
  new URL('../../node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url),
);
const CLIENT = fileURLToPath(new URL('../support/conformance-client.ts', import.meta.url));

const SCENARIOS: Readonly<Record<string, readonly string[]>> = {
  '2025-11-25': ['initialize', 'tools_call', 'sse-retry'],
  '2026-07-28': [
    'tools_call',
    'request-metadata',
    'http-standard-headers',
    'http-custom-headers',
    'http-invalid-tool-headers',
    'json-schema-ref-no-deref',
  ],
};

let results: string;
before(async () => {
  results = await mkdtemp(join(tmpdir(), 'darkspere-conformance-'));
});
after(() => rm(results, { recursive: true, force: true }));

for (const [version, scenarios] of Object.entries(SCENARIOS)) {
  describe(`MCP ${version}`, () => {
    for (const scenario of scenarios) {
      test(scenario, async () => {
        const { code, output } = await runSuite(['--spec-version', version, '--scenario', scenario]);
        assert.equal(code, 0, output);
        assert.match(output, /Passed: [1-9]\d*\/\d+, 0 failed, 0 warnings/);
      });
    }
  });
}

function runSuite(args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ code: number | null; output: string }>();
  const command = ['client', '--command', `"${process.execPath}" "${CLIENT}"`, '-o', results, ...args];
  const child = spawn(process.execPath, [SUITE, ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  child.on('error', reject);
  child.on('close', (code) => resolve({ code, output }));
  return promise;
}
