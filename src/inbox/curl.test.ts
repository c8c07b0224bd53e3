// Each command is run by a real bash, in which curl prints what it is given: nothing may be lost, added or run.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { newSigningSecret, verifyWebhook } from '../security/standard-webhooks.ts';
import { curlOf } from './curl.ts';

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
            curlOf({ kind: 'agent', target: `https://agent.example.com/${path}`, request, protocol }),
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
        const command = curlOf({ kind: 'agent', target: 'https://agent.example.com/', request, protocol: 'openai' });
        assert.doesNotMatch(command, /[^\P{Cc}\n]|[\u202a-\u202e]/u);
      }),
    );
  });

  it('is signed so that an agent takes it', () => {
    const request = JSON.stringify({ type: 'chat.request', message_id: '8d7f-1', payload: { message: `it's "é" 😀` } });
    const [given] = run([
      curlOf({ kind: 'agent', target: 'https://agent.example.com/', request, protocol: 'envelope' }),
    ]);
    const headers = headersOf(given!);
    assert.equal(headers['webhook-id'], '8d7f-1');
    assert.equal(verifyWebhook(secret, headers, request, new Date()), 'valid');
  });

  it('names the account by variables, and has no reports on it sent to us', () => {
    const target = 'https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json';
    const send = 'To=%2B1555&Body=it%27s&StatusCallback=%2Fwebhooks%3Fpart%3D1';
    const [sent, found] = run([
      curlOf({ kind: 'send', target, request: send, protocol: null }),
      curlOf({ kind: 'find', target, request: 'To=%2B1555', protocol: null }),
    ]);
    assert.equal(argumentOf(sent!, '-u'), 'AC1:token');
    assert.equal(argumentOf(sent!, '--data-raw'), 'To=%2B1555&Body=it%27s');
    assert.ok(found!.includes(`${target}?To=%2B1555`));
  });

  it('of a tool is what the protocol makes of it', () => {
    const request = `{"name":"ask","arguments":{"text":"it's"}}`;
    const target = 'https://agent.example.com/mcp';
    const [given] = run([curlOf({ kind: 'agent', target, request, protocol: 'mcp' })]);
    assert.deepEqual(JSON.parse(argumentOf(given!, '--data-raw')!), {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: JSON.parse(request),
    });
    assert.equal(headersOf(given!).authorization, 'Bearer key');
  });

  it('says when it is not all of the request', () => {
    const request = 'x'.repeat(8_192);
    const command = curlOf({ kind: 'agent', target: 'https://agent.example.com/', request, protocol: 'openai' });
    assert.match(command, /^# Only the beginning/);
    assert.equal(argumentOf(run([command])[0]!, '--data-raw'), request);
  });
});
