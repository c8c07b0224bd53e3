import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Inbound } from '../../channels/channel.ts';
import type { Found } from './record.ts';
import { type ReplayDeps, replay } from './replay.ts';

const ANN = '+15550000001';

/** What was handled, in order; a keyword takes a while, as it does where somebody holds its conversation. */
function scene(scopeOf: (text: Inbound) => string) {
  const handled: string[] = [];
  const note = (text: Inbound) => handled.push(`${text.text} to ${text.to.at(-1)}`);
  const isKeyword = (text: Inbound) => ['START', 'STOP'].includes(text.text);
  const deps: ReplayDeps = {
    consent: {
      scopeOf,
      isStop: ({ text }) => text === 'STOP',
      concerns: isKeyword,
      async handle(text) {
        for (let n = 0; text.text === 'START' && n < 5; n++) await turn();
        if (isKeyword(text)) note(text);
        return isKeyword(text);
      },
    },
    ingest: {
      take: async () => assert.fail('one by one'),
      async takeAll(texts) {
        texts.forEach(note);
      },
    },
    delivery: { apply: async () => 'ignored' },
  };
  return { handled, deps };
}

const said = (words: string, to: string): Found => ({
  at: 0,
  end: 0,
  entry: {
    kind: 'text',
    text: { channel: 'sms', providerId: words + to, from: ANN, to, text: words, media: [], optOutHandled: null },
  },
});

test('what a person says to two numbers of one messaging service is handled in order', async () => {
  const { handled, deps } = scene(({ from }) => from);
  await replay([said('START', '+1555001'), said('hello', '+1555002'), said('STOP', '+1555002')], deps);
  assert.deepEqual(handled, ['START to 1', 'hello to 2', 'STOP to 2']);
});

test('numbers that have nothing to do with each other do not wait for each other', async () => {
  const { handled, deps } = scene(({ from, to }) => from + to);
  await replay([said('START', '+1555001'), said('hello', '+1555002'), said('STOP', '+1555002')], deps);
  assert.deepEqual(handled, ['hello to 2', 'START to 1', 'STOP to 2']);
});
