import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { type EventSource, openEvents } from '../../test/support/event-source.ts';
import { until } from '../../test/support/until.ts';
import type { LiveListener as Listener, LiveEvent } from '../inbox/live.ts';
import { createEventHub, type EventHubDeps } from './event-stream.ts';
import { createServer } from './server.ts';

async function start(
  t: TestContext,
  { known, ...options }: Partial<EventHubDeps> & { readonly known?: Promise<unknown> } = {},
) {
  const listeners = new Map<Listener, string | undefined>();
  const missed: LiveEvent[] = [];
  const hub = createEventHub({
    feed: {
      subscribe(listener, lastEventId) {
        listeners.set(listener, lastEventId);
        for (const event of missed) listener(event);
        return () => listeners.delete(listener);
      },
      position: 'run-40',
      close: async () => {},
    },
    watchPhones: null,
    stillOpen: async (ids) => new Set(ids),
    beatMs: 50,
    ...options,
  });
  const app = createServer({ name: 'test', logger: pino({ level: 'silent' }), isClosing: () => false });
  app.get<{ Querystring: { as?: string; after?: string } }>('/events', async (request, reply) => {
    const { as = 'somebody', after } = request.query;
    await known;
    return hub.open(request, reply, { kind: 'operator', id: as, name: as, scopes: ['read'] }, after);
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  const opened: EventSource[] = [];
  t.after(async () => {
    for (const source of opened) source.close();
    hub.close();
    await app.close();
  });
  const open = async (query = '', more: { reads?: boolean } = {}) => {
    const source = await openEvents(`http://127.0.0.1:${port}/events${query}`, {}, more);
    opened.push(source);
    return source;
  };
  let count = 0;
  const tell = (padding = '') => {
    const change = { conversation_id: `c${padding}`, what: 'text' as const };
    const event: LiveEvent = { id: String(++count), change };
    for (const listener of [...listeners.keys()]) listener(event);
  };
  return { app, hub, open, tell, listeners, missed, port };
}

test('a stream begins with a beat that has its place, and each event has its id', async (t) => {
  const { open, tell, listeners } = await start(t);
  const source = await open('?after=41');
  assert.equal(source.response.headers['content-type'], 'text/event-stream; charset=utf-8');
  assert.match(source.response.headers['cache-control']!, /no-store, no-transform/);
  assert.equal((await source.next('beat')).id, 'run-40');
  assert.deepEqual([...listeners.values()], ['41']);
  tell();
  assert.deepEqual(await source.next('change'), {
    event: 'change',
    id: '1',
    data: { conversation_id: 'c', what: 'text' },
  });
  for (const listener of listeners.keys()) listener('reset');
  assert.equal((await source.next('reset')).id, null);
  await source.next('beat');
});

test('it outlives the time after which the server closes silent connections', async (t) => {
  const { app, open, tell, port } = await start(t, { beatMs: 3_600_000 });
  app.server.setTimeout(100);
  const source = await open();
  const silent = connect(port, '127.0.0.1').resume();
  await once(silent, 'close');
  tell();
  await source.next('change');
  assert.equal(source.isOver(), false);
});

test('many look on, one does not read: it alone is let go, at a bounded backlog', async (t) => {
  const { hub, open, tell } = await start(t);
  const readers = await Promise.all(Array.from({ length: 60 }, () => open()));
  const deaf = await open('', { reads: false });
  await until(() => hub.size === 61);
  deaf.response.socket.pause();
  const padding = 'x'.repeat(16_384);
  let told = 0;
  // What the kernel takes besides is a few MiB at most.
  while (hub.size === 61 && told < 2_000) {
    tell(padding);
    told++;
    if (told % 8 === 0) await new Promise(setImmediate);
  }
  assert.equal(hub.size, 60);
  await until(() => readers.every(({ events }) => events.filter(({ event }) => event === 'change').length === told), {
    timeoutMs: 60_000,
    what: `all ${told} events at all readers`,
  });
  const ids = readers[0]!.events.filter(({ event }) => event === 'change').map(({ id }) => id);
  assert.deepEqual(
    ids,
    Array.from({ length: told }, (_, n) => String(n + 1)),
  );
});

test('who was cut off for long gets all of it, more than a slow client may leave unread', async (t) => {
  const { open, tell, missed } = await start(t);
  const change = { conversation_id: 'x'.repeat(300), what: 'turn' as const };
  for (let n = 0; n < 10_000; n++) missed.push({ id: `m${n}`, change });
  const source = await open('?after=m-1');
  tell();
  await until(() => source.events.some(({ id }) => id === '1'), { what: 'what came after it' });
  assert.equal(source.events.filter(({ id }) => id?.startsWith('m')).length, 10_000);
});

test('a session that ends takes its streams along, here or elsewhere; a database that is away takes none', async (t) => {
  let open = new Set(['ann', 'bob', 'cat']);
  let isAway = true;
  const { hub, open: enter } = await start(t, {
    stillOpen: async () => {
      if (isAway) throw new Error('away');
      return open;
    },
  });
  const [ann, bob, cat] = [await enter('?as=ann'), await enter('?as=bob'), await enter('?as=cat')];
  hub.drop('ann');
  await until(() => ann.isOver());
  open = new Set(['cat']);
  await bob.next('beat');
  await bob.next('beat');
  assert.equal(bob.isOver(), false);
  isAway = false;
  await until(() => bob.isOver());
  assert.equal(cat.isOver(), false);
});

test('one process holds a bounded number of streams, and says when to come back', async (t) => {
  const { open, hub } = await start(t, { maxClients: 2 });
  const first = await open();
  await open();
  await assert.rejects(open(), /answered 429.*rate_limited/);
  first.close();
  await until(() => hub.size === 1);
  await open();
});

test('a stop ends the streams', async (t) => {
  const { app, open, hub, listeners } = await start(t);
  const sources = [await open(), await open('', { reads: false })];
  hub.close();
  await app.close();
  await until(() => sources[0]!.isOver());
  assert.deepEqual([hub.size, listeners.size], [0, 0]);
});

test('who has left before the stream begins, or waits behind another answer, keeps no place', async (t) => {
  const known = Promise.withResolvers<void>();
  const { app, hub, listeners, port } = await start(t, { known: known.promise });
  let asked = 0;
  app.server.on('request', () => asked++);
  const gone = connect(port, '127.0.0.1');
  gone.write('GET /events HTTP/1.1\r\nhost: here\r\n\r\n');
  await until(() => asked === 1);
  gone.destroy();
  await until(async () => (await promisify(app.server.getConnections.bind(app.server))()) === 0);
  known.resolve();
  const line = connect(port, '127.0.0.1').resume();
  line.write('GET /events HTTP/1.1\r\nhost: here\r\n\r\n'.repeat(3));
  await until(() => hub.size === 3);
  line.destroy();
  await until(() => hub.size === 0);
  assert.equal(listeners.size, 0);
});

test('a session that ends takes along a stream that is not read', async (t) => {
  const { hub, open, tell } = await start(t, { beatMs: 200 });
  const padding = 'x'.repeat(16_384);
  const tellDeaf = async (most: number) => {
    const { response } = await open('?as=deaf', { reads: false });
    await until(() => hub.size === 1);
    response.socket.pause();
    let told = 0;
    for (; hub.size === 1 && told < most; told++) {
      tell(padding);
      await new Promise(setImmediate);
    }
    return told;
  };
  // As much as the kernel takes, and a part of what waits here.
  await tellDeaf((await tellDeaf(2_000)) - 30);
  assert.equal(hub.size, 1);
  hub.drop('deaf');
  await until(() => hub.size === 0);
});
