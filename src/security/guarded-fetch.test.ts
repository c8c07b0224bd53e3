import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createSocketServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { until } from '../../test/support/until.ts';
import { DarkspereError, type ErrorCode } from '../errors.ts';
import { egressFetch } from './egress-fetch.ts';
import { createEgress, type EgressOptions } from './guarded-fetch.ts';
import { type PostOptions, postJson } from './post-json.ts';

async function withServer(listener: RequestListener, run: (port: number, hits: () => number) => Promise<void>) {
  let hits = 0;
  const server = createServer((request, response) => {
    hits += 1;
    listener(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await run((server.address() as AddressInfo).port, () => hits);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function post(egress: Partial<EgressOptions>, url: string, options: Partial<PostOptions> = {}) {
  const dispatcher = createEgress({ allow: [], connectMs: 2_000, ...egress });
  try {
    return await postJson(dispatcher, new URL(url), {
      headers: {},
      body: '{}',
      deadlines: { connectMs: 2_000, firstByteMs: 5_000, totalMs: 10_000 },
      signal: new AbortController().signal,
      ...options,
    });
  } finally {
    await dispatcher.destroy();
  }
}

const refusedWith = (code: ErrorCode) => (error: unknown) => {
  assert.ok(error instanceof DarkspereError, String(error));
  assert.equal(error.code, code, error.message);
  return true;
};

test('no spelling of loopback is dialled', async () => {
  await withServer(
    (_request, response) => response.end('{}'),
    async (port, hits) => {
      for (const host of [
        '127.0.0.1',
        '2130706433',
        '0x7f000001',
        '0177.0.0.1',
        '127.1',
        '0.0.0.0',
        '[::1]',
        '[::]',
        '[::ffff:127.0.0.1]',
        '[::ffff:7f00:1]',
        'localhost',
      ]) {
        await assert.rejects(post({}, `http://${host}:${port}/`), refusedWith('egress_denied'), host);
      }
      assert.equal(hits(), 0);
    },
  );
});

test('the allow list lets loopback through', async () => {
  await withServer(
    (_request, response) => response.end('{"ok":true}'),
    async (port) => {
      const answer = await post({ allow: ['127.0.0.0/8'] }, `http://127.0.0.1:${port}/`);
      assert.equal(answer.status, 200);
      assert.equal(answer.bytes.toString(), '{"ok":true}');
      assert.ok(
        answer.timings.connectMs <= answer.timings.firstByteMs && answer.timings.firstByteMs <= answer.timings.totalMs,
      );
    },
  );
});

test('a name is checked at the moment it is dialled', async () => {
  const allow = ['127.0.0.0/8'];
  await withServer(
    (_request, response) => response.end('{}'),
    async (port, hits) => {
      const resolvingTo = (...addresses: string[]): Partial<EgressOptions> => ({
        lookup: (_host, _options, found) =>
          found(
            null,
            addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
          ),
      });
      const url = `http://agent.example:${port}/`;
      // Public when it was saved, private now.
      await assert.rejects(post(resolvingTo('127.0.0.1'), url), refusedWith('egress_denied'));
      await assert.rejects(post(resolvingTo('93.184.216.34', '127.0.0.1'), url), refusedWith('egress_denied'));
      await assert.rejects(post(resolvingTo('::ffff:127.0.0.1'), url), refusedWith('egress_denied'));
      await assert.rejects(post(resolvingTo(), url), refusedWith('agent_refused'));
      assert.equal(hits(), 0);
      assert.equal((await post({ allow, ...resolvingTo('127.0.0.1') }, url)).status, 200);
      assert.equal(hits(), 1);
    },
  );
});

test('a name that takes long to find is looked up once for all who wait', async () => {
  await withServer(
    (_request, response) => response.end('{}'),
    async (port) => {
      const asked: string[] = [];
      const found: (() => void)[] = [];
      const dispatcher = createEgress({
        allow: ['127.0.0.1'],
        connectMs: 2_000,
        lookup(host, _options, tell) {
          asked.push(host);
          found.push(() => tell(null, [{ address: '127.0.0.1', family: 4 }]));
        },
      });
      const ask = (host: string) =>
        postJson(dispatcher, new URL(`http://${host}:${port}/`), {
          headers: {},
          body: '{}',
          deadlines: { connectMs: 2_000, firstByteMs: 5_000, totalMs: 10_000 },
          signal: new AbortController().signal,
        });
      const answers = [ask('slow.example'), ask('slow.example'), ask('slow.example'), ask('other.example')];
      await until(() => asked.includes('other.example'), { what: 'the other name' });
      assert.deepEqual(asked, ['slow.example', 'other.example']);
      for (const tell of found) tell();
      for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200);
      await dispatcher.destroy();
    },
  );
});

test('a redirect is an answer, never followed', async () => {
  await withServer(
    (request, response) => {
      if (request.url === '/stolen') response.end('{}');
      else response.writeHead(307, { location: '/stolen' }).end();
    },
    async (port, hits) => {
      const answer = await post({ allow: ['127.0.0.1'] }, `http://127.0.0.1:${port}/`);
      assert.equal(answer.status, 307);
      assert.equal(hits(), 1);
    },
  );
});

test('what arrives together is read together, in however many pieces it was cut', async () => {
  await withServer(
    (_request, response) => {
      response.flushHeaders();
      response.socket?.write(`${'1\r\nx\r\n'.repeat(5_000)}0\r\n\r\n`);
    },
    async (port) => {
      const dispatcher = createEgress({ allow: ['127.0.0.1'], connectMs: 2_000 });
      const answer = await egressFetch(
        dispatcher,
        new URL(`http://127.0.0.1:${port}/`),
        {},
        {
          deadlines: { connectMs: 2_000, firstByteMs: 5_000, totalMs: 10_000 },
          maxBytes: 65_536,
          signal: new AbortController().signal,
        },
      );
      const sizes: number[] = [];
      for await (const bytes of answer.body ?? []) sizes.push(bytes.length);
      await dispatcher.destroy();
      assert.equal(
        sizes.reduce((sum, size) => sum + size, 0),
        5_000,
      );
      assert.ok(sizes.length < 500, `${sizes.length} reads`);
    },
  );
});

test('plain http behind https and a dead port each have their own name', async () => {
  const allow = ['127.0.0.1'];
  await withServer(
    (_request, response) => response.end('{}'),
    async (port) => {
      await assert.rejects(post({ allow }, `https://127.0.0.1:${port}/`), refusedWith('agent_tls'));
    },
  );
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, 'close');
  await assert.rejects(post({ allow }, `http://127.0.0.1:${port}/`), refusedWith('agent_refused'));
});

test('a peer that accepts and never shakes hands is given up at the connect deadline', async () => {
  const sockets: Socket[] = [];
  const server = createSocketServer((socket) => sockets.push(socket.on('error', () => undefined))).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  try {
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const deadlines = { connectMs: 100, firstByteMs: 20_000, totalMs: 20_000 };
    await assert.rejects(post({ allow: ['127.0.0.1'] }, url, { deadlines }), (error) => {
      refusedWith('agent_timeout')(error);
      assert.deepEqual((error as DarkspereError).facts, { stage: 'connect', limitMs: 100 });
      return true;
    });
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

test('a connector that gives up before the caller still names the stage', async () => {
  const options: Partial<EgressOptions> = { lookup: () => undefined, connectMs: 300 };
  await assert.rejects(
    post(options, 'https://agent.example/', { deadlines: { connectMs: 20_000, firstByteMs: 20_000, totalMs: 20_000 } }),
    (error) => {
      refusedWith('agent_timeout')(error);
      assert.equal((error as DarkspereError).facts.stage, 'connect');
      return true;
    },
  );
});
