// What a newcomer starts: everything in one process, and the demo agent, which registers like any agent, beside it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, install, OUR_NUMBER, runProgram } from '../support/program.ts';
import { until } from '../support/until.ts';

const PHONE = '+15557654321';

test('the first text to a Darkspere that was just installed is answered by its demo agent, and so is one after a restart', async (t) => {
  const place = await install(t, { external: false });
  const demo = { DARKSPERE_DEMO_AGENT: 'on', DARKSPERE_DEMO_AGENT_PORT: String(await freePort()) };
  for (const [n, question] of ['what time is it in Tokyo?', 'time in Tokyo'].entries()) {
    const program = await place.start([], demo);
    await place.textForSure(PHONE, question);
    await until(() => place.sent(PHONE).length > n, { what: 'an answer', timeoutMs: 60_000 });
    assert.match(place.sent(PHONE)[n]!, /It is .* in Tokyo \(GMT\+9\)\./, program.output());
    assert.doesNotMatch(program.output(), /"level":50/);
    assert.match(program.output(), /^ {2}our number {5}\+\d+, answered by the demo agent$/m);
    // The number asks others from the next start on, and the demo agent is no longer what it is said to ask.
    if (n === 1) await runProgram(['numbers', 'set', OUR_NUMBER, '--agent-type', 'sales'], place.env).exited;
    await program.kill('SIGTERM');
  }
  const program = await place.start([], demo);
  assert.match(program.output(), /^ {2}our number {5}\+\d+, answered by agents of type sales$/m);
});
