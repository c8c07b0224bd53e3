import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { settleServe } from './settings.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-settings-'));
  await mkdir(join(folder, '.darkspere'));
  await writeFile(join(folder, '.darkspere', 'registration-secret'), 'dsp_reg_of_this_machine\n');
});
after(() => rm(folder, { recursive: true }));

const settle = (given: Partial<Parameters<typeof settleServe>[0]>, environment: Record<string, string> = {}) =>
  settleServe({ name: 'Ada & Bob', ...given }, { DARKSPERE_DATA_DIR: join(folder, 'nothing'), ...environment });

describe('settings of an agent', () => {
  it('need nothing in development', () => {
    const { host, port, publicUrl, registrationSecret, stateFile, type, protocol } = settle({});
    assert.deepEqual(
      [host, port, publicUrl, registrationSecret, type, protocol],
      ['127.0.0.1', 9000, null, null, 'chat', 'envelope'],
    );
    assert.match(stateFile, /[\\/]\.darkspere-agent[\\/]ada-bob\.json$/);
  });

  it('find the secret of a Darkspere on this machine, in development only', () => {
    const nearby = { DARKSPERE_DATA_DIR: join(folder, '.darkspere') };
    assert.equal(settle({}, nearby).registrationSecret, 'dsp_reg_of_this_machine');
    assert.equal(settle({}, { ...nearby, REGISTRATION_SECRET: 'given' }).registrationSecret, 'given');
    assert.throws(() => settle({}, { ...nearby, NODE_ENV: 'production' }), /nobody is answered unchecked/);
  });

  it('take the author’s word before the environment’s', () => {
    const environment = { PORT: '1234', AGENT_TYPE: 'theirs', AGENT_SIGNING_SECRET: `${SECRET}, ${SECRET}` };
    assert.deepEqual(settle({}, environment).signingSecrets, [SECRET, SECRET]);
    const { port, type } = settle({ port: 0, type: 'ours' }, environment);
    assert.deepEqual([port, type], [0, 'ours']);
  });

  it('in production need something to check callers with, and an address', () => {
    const production = { NODE_ENV: 'production' };
    assert.throws(() => settle({}, production), /nobody is answered unchecked: set REGISTRATION_SECRET/);
    assert.throws(() => settle({}, { ...production, REGISTRATION_SECRET: 's' }), /AGENT_URL/);
    assert.equal(settle({ signingSecrets: [SECRET] }, production).host, '::');
    const url = 'https://agent.example.com/';
    const settled = settle({ publicUrl: url }, { ...production, REGISTRATION_SECRET: 's' });
    assert.equal(settled.publicUrl, 'https://agent.example.com');
  });

  it('that are wrong are all named at once', () => {
    const environment = {
      PORT: 'eighty',
      AGENT_URL: 'agent.example.com',
      AGENT_SIGNING_SECRET: 'short',
      AGENT_TOKEN: 'short',
    };
    const wrong = { name: ' ', maxConcurrentSessions: 0, protocol: 'soap' as 'mcp', registrationUrl: 'ftp://x' };
    assert.throws(
      () => settle({ name: 'x' }, environment),
      /PORT[\s\S]*AGENT_URL[\s\S]*AGENT_SIGNING_SECRET[\s\S]*AGENT_TOKEN/,
    );
    assert.throws(() => settle(wrong), /name[\s\S]*REGISTRATION_URL[\s\S]*maxConcurrentSessions/);
    assert.throws(() => settle({ protocol: 'soap' as 'mcp' }), /AGENT_PROTOCOL/);
  });
});
