// Each command is run by a real bash, in which curl prints what it is given: nothing may be lost, added or run.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { newSigningSecret, verifyWebhook } from '../security/standard-webhooks.ts';
import { type CalledAgent, curlOf } from './curl.ts';

const agent = (protocol: CalledAgent['protocol'], more: Partial<CalledAgent> = {}): CalledAgent => ({
  protocol,
  endpoint_url: null,
  key_header: null,
  ...more,
});

const secret = newSigningSecret();
const folder = mkdtempSync(join(tmpdir(), 'darkspere-curl-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** The arguments that curl is given. The commands of one call run in one shell: starting it takes longer than all of them. */
function run(commands: readonly string[]): string[][] {
  const script = commands.map((command) => `${command}\nprintf 'end\\0'`).join('\n');
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', `curl() { printf '%s\\0' "$@"; }\n${script}`], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      LC_ALL: 'C.UTF-8',
      AGENT_SIGNING_SECRET: secret,
      AGENT_CREDENTIAL: 'key',
      TWILIO_ACCOUNT_SID: 'AC1',
      TWILIO_AUTH_TOKEN: 'token',
    },
  });
  assert.equal(status, 0, stderr.toString());
  assert.equal(stderr.toString(), '');
  const given = stdout.toString('utf8').split('\0');
  const calls: string[][] = [[]];
  for (const argument of given) {
    if (argument === 'end') calls.push([]);
    else calls.at(-1)!.push(argument);
  }
  return calls.slice(0, commands.length);
}

const argumentOf = (given: readonly string[], option: string) => given[given.indexOf(option) + 1];
const headersOf = (given: readonly string[]) =>
  Object.fromEntries(
    given.flatMap((argument, n) => (given[n - 1] === '-H' ? [argument.split(/: (.*)/s, 2) as [string, string]] : [])),
  );

const NASTY = [
  `'`,
  '"',
  '`touch x`',
  '$(touch x)',
  '$HOME',
  '\\',
  '!',
  '!!',
  '\n',
  '\r',
  '\t',
  '\u001b[2J',
  '\u0003',
  '@file',
  '-x',
  ';',
  '&',
  '|',
  '\u009b',
  '\u202e',
  '😀',
  '#',
  ' ',
  '%00',
  "'; touch x; '",
];
const nasty = fc
  .array(fc.oneof(fc.constantFrom(...NASTY), fc.string({ unit: 'binary' })), { maxLength: 12 })
  .map((parts) =>
    // What a record may hold: no NUL, no half of a surrogate pair.
    parts.join('').replaceAll('\0', '').toWellFormed(),
  );

describe('a call as a command', () => {
  it('arrives byte for byte, whatever is in it, and runs nothing', () => {
    const each = fc.array(fc.tuple(nasty, nasty, fc.constantFrom('envelope' as const, 'openai' as const)), {
      minLength: 10,
      maxLength: 10,
    });
    fc.assert(
      fc.property(each, (calls) => {
        const given = run(
          calls.map(([request, path, protocol]) =>
            curlOf({ kind: 'agent', target: `https://agent.example.com/${path}`, request, ...agent(protocol) }),
          ),
        );
        for (const [n, [request, path]] of calls.entries()) {
          assert.equal(argumentOf(given[n]!, '--data-raw'), request);
          assert.ok(given[n]!.includes(`https://agent.example.com/${path}`));
        }
        assert.deepEqual(readdirSync(folder), []);
      }),
      { numRuns: 15 },
    );
  });

  it('has no character in it that a terminal acts on', () => {
    fc.assert(
      fc.property(nasty, (request) => {
        const command = curlOf({ kind: 'agent', target: 'https://agent.example.com/', request, ...agent('openai') });
        assert.doesNotMatch(command, /[^\P{Cc}\n]|[\u202a-\u202e]/u);
      }),
    );
  });

  it('is signed so that an agent takes it', () => {
    const request = JSON.stringify({ type: 'chat.request', message_id: '8d7f-1', payload: { message: `it's "é" 😀` } });
    const [given] = run([
      curlOf({ kind: 'agent', target: 'https://agent.example.com/', request, ...agent('envelope') }),
    ]);
    const headers = headersOf(given!);
    assert.equal(headers['webhook-id'], '8d7f-1');
    assert.equal(verifyWebhook(secret, headers, request, new Date()), 'valid');
  });

  it('names the account by variables, and has no reports on it sent to us', () => {
    const target = 'https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json';
    const send = 'To=%2B1555&Body=it%27s&StatusCallback=%2Fwebhooks%3Fpart%3D1';
    const [sent] = run([curlOf({ kind: 'send', target, request: send, ...agent(null) })]);
    assert.equal(argumentOf(sent!, '-u'), 'AC1:token');
    assert.equal(argumentOf(sent!, '--data-raw'), 'To=%2B1555&Body=it%27s');
  });

  it('carries the credential in the header that the agent wants it in, and no other header whatever is registered', () => {
    const sent = (key_header: string | null) => {
      const called = { kind: 'agent', target: 'https://agent.example.com/', request: '{}' } as const;
      return headersOf(run([curlOf({ ...called, ...agent('webhook', { key_header }) })])[0]!);
    };
    assert.equal(sent('X-Api-Key')['X-Api-Key'], 'key');
    assert.equal(sent('X-Api-Key').authorization, undefined);
    for (const odd of [null, '', 'cookie', 'x-"; touch x; "', 'x-$(touch x)', 'x-a\nx-b'])
      assert.deepEqual(sent(odd), { 'content-type': 'application/json', authorization: 'Bearer key' });
    assert.deepEqual(readdirSync(folder), []);
  });

  it('to where another host is named carries no credential', () => {
    const request = '{"jsonrpc":"2.0","method":"SendMessage","params":{},"id":1}';
    const sent = (endpoint_url: string) =>
      headersOf(
        run([
          curlOf({ kind: 'agent', target: 'https://there.example/rpc', request, ...agent('a2a', { endpoint_url }) }),
        ])[0]!,
      );
    assert.equal(sent('https://here.example/').authorization, undefined);
    assert.equal(sent('https://there.example/').authorization, 'Bearer key');
  });

  it('has the name of a tool in a header as the protocol wants it', () => {
    const nameIn = (name: string) => {
      const params = { name, _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } };
      const request = JSON.stringify({ method: 'tools/call', params, jsonrpc: '2.0', id: 1 });
      const target = 'https://agent.example.com/mcp';
      return headersOf(run([curlOf({ kind: 'agent', target, request, ...agent('mcp') })])[0]!)['mcp-name'];
    };
    assert.equal(nameIn('ask me'), 'ask me');
    for (const name of ['é', ' ask', '=?base64?eA==?=', "it's\n"])
      assert.equal(nameIn(name), `=?base64?${Buffer.from(name).toString('base64')}?=`);
  });

  it('of a call that ended in its handshake says so', () => {
    for (const protocol of ['mcp', 'a2a'] as const) {
      const command = curlOf({ kind: 'agent', target: 'https://agent.example.com/', request: '', ...agent(protocol) });
      assert.match(command, /^# The call ended before anything was asked/);
      assert.ok(!run([command])[0]!.includes('--data-raw'));
    }
  });

  it('says when it is not all of the request', () => {
    const request = 'x'.repeat(8_192);
    const command = curlOf({ kind: 'agent', target: 'https://agent.example.com/', request, ...agent('openai') });
    assert.match(command, /^# Only the beginning/);
    assert.equal(argumentOf(run([command])[0]!, '--data-raw'), request);
  });
});
