// The wire does what the schedule says of it: a fault that does not happen proves nothing.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { until } from '../support/until.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';

describe('the fault proxy', () => {
  /** What the far side was told, connection by connection; it answers each piece with itself. */
  const heard: string[] = [];
  const ended: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const n = heard.push('') - 1;
    socket.on('data', (chunk) => {
      heard[n] += chunk.toString();
      socket.write(chunk);
    });
    socket.on('end', () => {
      ended.push(heard[n]!);
      socket.end('goodbye');
    });
    socket.on('error', () => {});
  });
  let proxy: FaultProxy;
  const clients: Socket[] = [];

  before(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    // Nobody listens at the first target.
    proxy = await startFaultProxy([
      { host: '127.0.0.1', port: 1 },
      { host: '127.0.0.1', port },
    ]);
  });
  after(async () => {
    for (const client of clients) client.destroy();
    await proxy.close();
    server.close();
  });

  async function client() {
    const socket = connect({ host: '127.0.0.1', port: proxy.port, allowHalfOpen: true });
    clients.push(socket);
    let got = '';
    let isOver = false;
    socket.on('data', (chunk) => {
      got += chunk.toString();
    });
    socket.on('error', () => {});
    socket.on('end', () => {
      isOver = true;
    });
    socket.on('close', () => {
      isOver = true;
    });
    await once(socket, 'connect');
    return {
      socket,
      got: () => got,
      isOver: () => isOver,
      hears: (text: string) => until(() => got === text, { what: `${text}, not ${got}` }),
    };
  }

  test('through: both ways, by the target that is there', async () => {
    for (const text of ['one', 'two']) {
      const { socket, hears } = await client();
      socket.write(text);
      await hears(text);
    }
  });

  test('slow: later, complete and in order', async () => {
    const { socket, hears } = await client();
    proxy.become({ kind: 'slow', ms: 20 });
    for (const piece of ['a', 'b', 'c']) socket.write(piece);
    await hears('abc');
    proxy.become({ kind: 'through' });
  });

  test('stalled: nothing until it is over, then all of it, also of somebody who has left', async () => {
    const { socket, hears } = await client();
    socket.write('before ');
    await hears('before ');
    proxy.become({ kind: 'stall' });
    socket.write('meanwhile');
    socket.destroy();
    const other = await client();
    other.socket.write('too');
    await until(() => other.socket.bytesWritten === 3);
    assert.equal(other.got(), '');
    assert.ok(!heard.includes('before meanwhile'));
    proxy.become({ kind: 'through' });
    await until(() => heard.includes('before meanwhile'));
    await other.hears('too');
  });

  test('black hole: what was said in it never arrives, and the connection ends with it', async () => {
    const { socket, isOver, hears } = await client();
    socket.write('before ');
    await hears('before ');
    proxy.become({ kind: 'hole' });
    socket.write('swallowed');
    await until(() => proxy.holed === 1);
    assert.ok(!isOver());
    proxy.become({ kind: 'through' });
    await until(isOver);
    assert.ok(!heard.some((text) => text.includes('swallowed')));
  });

  test('half-closed: one side ends, the other may go on', async () => {
    const { socket, hears } = await client();
    socket.write('last words ');
    await hears('last words ');
    proxy.halfClose();
    await until(() => ended.includes('last words '));
  });

  test('answers broken off: their first bytes come, then the end', async () => {
    proxy.cutNextAnswers(1);
    const { socket, got, isOver } = await client();
    socket.write('a long answer that nobody hears the end of');
    await until(isOver);
    assert.equal(got(), 'a long answe');
  });

  test('cut and refused: every connection ends; new ones come through again after it', async () => {
    const { isOver } = await client();
    proxy.cut();
    await until(isOver);
    await proxy.down();
    await assert.rejects(client(), { code: 'ECONNREFUSED' });
    await proxy.up();
    const { socket, hears } = await client();
    socket.write('again');
    await hears('again');
  });
});
