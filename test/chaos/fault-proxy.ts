// A TCP wire on which everything goes wrong that can: cut, refused, slow, stalled, swallowed, closed on one side, answers
// broken off. With several targets it is also the load balancer before them.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * `through`: as a wire should be. `slow`: each piece comes `ms` late. `stall`: nothing comes until it is healed, then all of
 * it, also from a side that has left meanwhile. `hole`: nothing comes ever; healing ends the connections it happened to.
 */
export type Weather = { kind: 'through' } | { kind: 'slow'; ms: number } | { kind: 'stall' } | { kind: 'hole' };

export type FaultProxy = Awaited<ReturnType<typeof startFaultProxy>>;

/** One side of a connection to the other; steps are taken in order. */
type Direction = { tail: Promise<void>; waiting: number };

const CLEAR: Weather = { kind: 'through' };
/** Half a status line, or half the header of a message of PostgreSQL. */
const FIRST_BYTES = 12;

/** Listens on 127.0.0.1; each connection goes to the first target that takes it, in turn. */
export async function startFaultProxy(targets: readonly NetConnectOpts[], port = 0) {
  const open = new Set<Socket>();
  /** Connections of which bytes were swallowed: what follows makes no sense to the other side. */
  const broken = new Set<Socket>();
  let weather: Weather = CLEAR;
  let cleared = Promise.withResolvers<void>();
  let cutAnswers = 0;
  let turn = 0;
  let server: Server;

  /** True when the next piece may go on, false when it is lost. */
  async function passes(): Promise<boolean> {
    if (weather.kind === 'slow') await pause(weather.ms);
    while (weather.kind === 'stall') await cleared.promise;
    return weather.kind !== 'hole';
  }

  function follow(direction: Direction, from: Socket, to: Socket, step: () => void): void {
    if (weather.kind === 'through' && direction.waiting === 0) {
      step();
      return;
    }
    direction.waiting += 1;
    from.pause();
    direction.tail = direction.tail.then(async () => {
      if (await passes()) step();
      else for (const side of [from, to]) broken.add(side);
      direction.waiting -= 1;
      if (direction.waiting === 0) from.resume();
    });
  }

  function carry(from: Socket, to: Socket, isAnswer: boolean): void {
    const direction: Direction = { tail: Promise.resolve(), waiting: 0 };
    open.add(from);
    from.on('error', () => {});
    from.on('data', (chunk: Buffer) => {
      follow(direction, from, to, () => {
        if (to.destroyed || to.writableEnded) return;
        if (isAnswer && cutAnswers > 0) {
          cutAnswers -= 1;
          to.write(chunk.subarray(0, FIRST_BYTES), () => to.destroy());
          from.destroy();
        } else if (!to.write(chunk)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
      });
    });
    from.on('end', () => follow(direction, from, to, () => to.end()));
    from.on('close', () => {
      open.delete(from);
      broken.delete(from);
      // What it said before it left still arrives.
      follow(direction, from, to, () => (to.writableEnded ? undefined : to.end()));
      if (weather.kind === 'through') to.destroySoon();
    });
  }

  async function reach(): Promise<Socket | null> {
    turn += 1;
    for (let n = 0; n < targets.length; n++) {
      const far = connect({ ...targets[(turn + n) % targets.length]!, allowHalfOpen: true } as NetConnectOpts);
      far.setNoDelay(true);
      try {
        await once(far, 'connect');
        return far;
      } catch {
        far.destroy();
      }
    }
    return null;
  }

  async function join(near: Socket): Promise<void> {
    open.add(near);
    near.on('error', () => {});
    near.on('close', () => open.delete(near));
    near.pause();
    const far = await reach();
    if (far === null || near.destroyed) {
      near.destroy();
      far?.destroy();
      return;
    }
    carry(near, far, false);
    carry(far, near, true);
    near.resume();
  }

  async function listen(): Promise<void> {
    server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => void join(near));
    await once(server.listen(port, '127.0.0.1'), 'listening');
    port = (server.address() as AddressInfo).port;
  }

  function dropAll(): void {
    for (const socket of open) socket.destroy();
  }

  await listen();
  return {
    get port() {
      return port;
    },
    /** Connections that have lost something in a hole. */
    get holed() {
      return broken.size / 2;
    },
    become(next: Weather): void {
      weather = next;
      cleared.resolve();
      cleared = Promise.withResolvers();
      if (next.kind === 'through') for (const socket of broken) socket.destroy();
    },
    /** Ends every connection, in the middle of whatever it carries; new ones come through. */
    cut: dropAll,
    /** One side of every connection stops talking; the other one may go on. */
    halfClose(): void {
      for (const socket of open) socket.end();
    },
    /** The next answers break off after their first bytes. */
    cutNextAnswers(count: number): void {
      cutAnswers = count;
    },
    /** Ends every connection and refuses new ones until `up`. */
    async down(): Promise<void> {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      dropAll();
      await closed;
    },
    async up(): Promise<void> {
      if (!server.listening) await listen();
    },
    async close(): Promise<void> {
      this.become(CLEAR);
      await this.down();
    },
  };
}
