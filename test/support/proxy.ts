// A wire that a test can cut: forwards TCP connections to a port or a Unix socket until told otherwise.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net';

export type Wire = Awaited<ReturnType<typeof startProxy>>;

/** Listens on 127.0.0.1 on a free port. */
export async function startProxy(target: NetConnectOpts) {
  const open = new Set<Socket>();
  let cutAnswers = 0;
  let lostWord: string | null = null;
  let isSilent = false;
  let server: Server;
  let port = 0;

  function wire(near: Socket): void {
    const far = connect(target);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
    }
    near.pipe(far);
    far.on('data', (chunk: Buffer) => {
      const hasIt = lostWord !== null && chunk.includes(lostWord);
      if (cutAnswers > 0 || hasIt) {
        cutAnswers = Math.max(0, cutAnswers - 1);
        if (hasIt) lostWord = null;
        // Half a status line: the request was served, and nobody will hear what became of it.
        near.write(chunk.subarray(0, 12), () => near.destroy());
      } else if (!near.destroyed) near.write(chunk);
    });
  }

  async function listen(): Promise<void> {
    server = createServer((near) => {
      wire(near);
      if (isSilent) hold();
    });
    await once(server.listen(port, '127.0.0.1'), 'listening');
    port = (server.address() as AddressInfo).port;
  }

  /** Nothing is read any more: what is sent waits, as behind a link that is down. */
  function hold(): void {
    for (const socket of open) socket.pause();
  }

  await listen();
  return {
    get port() {
      return port;
    },
    /** The next answers break off after their first bytes. */
    cutNextAnswers(count: number): void {
      cutAnswers = count;
    },
    /** The next answer that has `word` in it breaks off after its first bytes. */
    cutAnswerWith(word: string): void {
      lostWord = word;
    },
    /** Connections stay, new ones too are taken, and nothing comes through either way until `speak`. */
    fallSilent(): void {
      isSilent = true;
      hold();
    },
    /** Brings what has waited, then goes on as before. */
    speak(): void {
      isSilent = false;
      for (const socket of open) socket.resume();
    },
    /** Ends every connection; new ones still come through. */
    dropConnections(): void {
      for (const socket of open) socket.destroy();
    },
    /** Ends every connection and refuses new ones until `up`. */
    async down(): Promise<void> {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
    async up(): Promise<void> {
      if (!server.listening) await listen();
    },
  };
}
