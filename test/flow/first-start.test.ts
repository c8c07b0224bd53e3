// What a newcomer starts: everything in one process, and the demo agent, which registers like any agent, beside it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { install, OUR_NUMBER, type Program, runProgram } from '../support/program.ts';
import { until } from '../support/until.ts';

const PHONE = '+15557654321';

const answeredBy = (program: Program) => /^ {2}our number {5}\+\d+, answered by (.*)$/m.exec(program.output())?.[1];

test('the first text to a Darkspere that was just installed is answered by its demo agent, and so is one after a restart', async (t) => {
  const place = await install(t, { external: false });
  const demo = { DARKSPERE_DEMO_AGENT: 'on', DARKSPERE_DEMO_AGENT_PORT: String(await freePort()) };
  for (const [n, question] of ['what time is it in Tokyo?', 'time in Tokyo'].entries()) {
    const program = await place.start([], demo);
    await place.textForSure(PHONE, question);
    await until(() => place.sent(PHONE).length > n, { what: 'an answer', timeoutMs: 60_000 });
    assert.match(place.sent(PHONE)[n]!, /It is .* in Tokyo \(GMT\+9\)\./, program.output());
    assert.doesNotMatch(program.output(), /"level":50/);
    assert.equal(answeredBy(program), 'the demo agent');
    // The number asks others from the next start on, and the demo agent is no longer what it is said to ask.
    if (n === 1) await runProgram(['numbers', 'set', OUR_NUMBER, '--agent-type', 'sales'], place.env).exited;
    await program.kill('SIGTERM');
  }
  const set = (...args: string[]) => runProgram(['numbers', 'set', OUR_NUMBER, ...args], place.env).exited;
  const lonely = await place.start([], demo);
  assert.equal(answeredBy(lonely), 'nobody yet: no agent of type sales is in use');
  await set('--agent-type', 'chat', '--require', 'pictures');
  await lonely.kill('SIGTERM');

  // Something else has the port of the demo agent.
  const taken = createServer().listen(Number(demo.DARKSPERE_DEMO_AGENT_PORT), '127.0.0.1');
  t.after(() => taken.close());
  await once(taken, 'listening');
  const picky = await place.start([], demo);
  assert.equal(answeredBy(picky), 'nobody yet: no agent of type chat with all that it requires is in use');
  await set('--require', 'none');
  await picky.kill('SIGTERM');
  const without = await place.start([], demo);
  assert.equal(answeredBy(without), 'nobody yet: the demo agent did not start');
  await place.agent(without, () => 'Hello.');
  await without.kill('SIGTERM');
  taken.close();
  await once(taken, 'close');

  const many = await place.start([], demo);
  assert.equal(answeredBy(many), 'agents of type chat');
});
