// The path of a message and the overview, through the API, over what really happened.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Caller, signIn } from '../support/operator.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

type Span = {
  kind: string;
  name: string;
  shape: string;
  outcome: string;
  ended_at: string | null;
  exchange: { curl: string } | null;
};

describe('the path of a message', () => {
  let world: World;
  let call: Caller;
  before(async () => {
    world = await startWorld();
    ({ call } = await signIn(world));
  });
  after(() => world.stop());

  async function pathsOf(text: string, line: Awaited<ReturnType<World['line']>>) {
    const person = line.person();
    await person.text(text);
    await person.next();
    const { messages } = await line.story(person);
    const paths = await Promise.all(messages.map(({ id }) => call('GET', `/v1/messages/${id}/path`)));
    return { person, messages, paths: paths.map(({ json }) => json) };
  }
  const kinds = (spans: Span[]) => spans.map(({ kind, shape }) => `${kind} ${shape}`);

  test('a text from its webhook to the phone: stored, waited, asked, committed, sent, reported', async () => {
    const line = await world.line();
    await line.agent(() => 'fine');
    const { paths } = await pathsOf('hello', line);
    const [text, reply] = paths;
    assert.equal(text.message.state, 'answered');
    assert.equal(reply.message.kind, 'reply');
    const found = kinds(text.spans);
    for (const kind of ['webhook work', 'wait wait', 'agent work', 'commit work', 'send work', 'callback point'])
      assert.ok(found.includes(kind), `${kind} is missing in ${found.join(', ')}`);
    assert.ok(text.spans.every((span: Span) => span.ended_at !== null));
    assert.ok(text.total_ms > 0);
    // One story, whichever of its messages one asks for.
    assert.deepEqual(reply.spans, text.spans);
    assert.deepEqual(
      text.related.map(({ id }: { id: string }) => id),
      [reply.message.id],
    );
  });

  test('an agent that fails is in it with what it said, and so is the one that answered', async () => {
    const line = await world.line();
    await line.agent(() => ({ status: 500, body: 'no' }), { name: 'broken' });
    await line.agent(() => 'fine', { name: 'sound' });
    let path: { spans: Span[] } | undefined;
    await until(
      async () => {
        const { paths } = await pathsOf('hello', line);
        path = paths[0];
        return path!.spans.some(({ name, outcome }) => name === 'broken' && outcome === 'failed');
      },
      { what: 'a turn that meets the broken one first', timeoutMs: 20_000 },
    );
    const calls = path!.spans.filter(({ kind }) => kind === 'agent').map(({ name, outcome }) => `${name} ${outcome}`);
    assert.deepEqual(calls, ['broken failed', 'sound ok']);
  });

  test('keywords and texts that are refused have a path too; what is not there is a 404', async () => {
    const line = await world.line();
    await line.agent(() => 'fine');
    const person = line.person();
    await person.text('STOP');
    await person.text('hello?');
    const { messages } = await line.story(person);
    for (const { id } of messages) {
      const { status, json } = await call('GET', `/v1/messages/${id}/path`);
      assert.equal(status, 200);
      assert.ok(json.spans.length > 0 || json.message.direction === 'out');
    }
    const missing = await call('GET', '/v1/messages/01900000-0000-7000-8000-000000000000/path');
    assert.equal(`${missing.status} ${missing.json.error.code}`, '404 not_found');
  });

  test('the overview counts what happened', async () => {
    const before = (await call('GET', '/v1/overview')).json;
    const line = await world.line();
    await line.agent(() => 'fine');
    await pathsOf('hello', line);
    await until(
      async () => {
        const { json } = await call('GET', '/v1/overview?window=1h');
        return json.texts_in === before.texts_in + 1 && json.turns.replied === before.turns.replied + 1;
      },
      { what: 'one text more in the overview' },
    );
    const { json } = await call('GET', '/v1/overview?window=24h');
    assert.equal(json.series.points.length, 96);
    const counted = json.series.points.reduce((sum: number, point: { texts_in: number }) => sum + point.texts_in, 0);
    assert.equal(counted, json.texts_in);
    assert.ok(json.time_to_answer_ms.p50 > 0);
    assert.equal((await call('GET', '/v1/overview?window=2h')).status, 422);
  });
});
