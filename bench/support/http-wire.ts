// HTTP/1.1 over bare sockets: a benchmark that shares the machine with what it measures must itself cost little. Knows only
// what our peers send: keep-alive messages with a content-length.
import { createConnection, createServer, type Server, type Socket } from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');
const NOTHING: Buffer = Buffer.alloc(0);

/** Cuts a byte stream into messages. `head` is everything before the blank line. */
function createFramer(onMessage: (head: string, body: Buffer) => void): (chunk: Buffer) => void {
  let rest = NOTHING;
  return (chunk) => {
    let bytes: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const headEnd = bytes.indexOf(HEAD_END);
      if (headEnd === -1) break;
      const head = bytes.toString('latin1', 0, headEnd);
      const bodyStart = headEnd + HEAD_END.length;
      const end = bodyStart + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      if (bytes.length < end) break;
      onMessage(head, bytes.subarray(bodyStart, end));
      bytes = bytes.subarray(end);
    }
    rest = bytes;
  };
}

/** A POST that is ready to be written. */
export function postRequest(port: number, path: string, headers: Record<string, string>, body: string): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${lines.join('')}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** A JSON answer that is ready to be written. */
export function jsonAnswer(status: string, value: unknown): Buffer {
  const body = JSON.stringify(value);
  return Buffer.from(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** A server on any free loopback port; a peer that waits for a promised answer sends nothing meanwhile on its connection. */
export async function serve(
  answer: (head: string, body: Buffer) => Buffer | Promise<Buffer>,
): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on(
      'data',
      createFramer((head, body) => {
        const given = answer(head, body);
        if (given instanceof Promise) void given.then((bytes) => socket.write(bytes));
        else socket.write(given);
      }),
    );
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  return {
    port: address.port,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

export type Client = {
  /** Sends one request on a free connection, or queues it; `done` gets the status, 0 when the connection broke. */
  post(request: Buffer, done: (status: number) => void): void;
  close(): void;
};

type Connected = { readonly socket: Socket; done: ((status: number) => void) | null };

/** Keep-alive connections to a local port, opened when they are needed. */
export function createClient(port: number, connections: number): Client {
  const all = new Set<Connected>();
  const free: Connected[] = [];
  const queue: { request: Buffer; done: (status: number) => void }[] = [];

  function open(): Connected {
    const socket = createConnection({ port, host: '127.0.0.1', noDelay: true });
    const connected: Connected = { socket, done: null };
    all.add(connected);
    socket.on(
      'data',
      createFramer((head) => finish(connected, Number(head.slice(9, 12)), /\r\nconnection: close/i.test(head))),
    );
    socket.on('error', () => {});
    socket.on('close', () => {
      all.delete(connected);
      const at = free.indexOf(connected);
      if (at !== -1) free.splice(at, 1);
      finish(connected, 0, true);
    });
    return connected;
  }

  function finish(connected: Connected, status: number, ends: boolean): void {
    const { done } = connected;
    connected.done = null;
    if (done === null) return;
    if (!ends) free.push(connected);
    done(status);
    const next = free.length > 0 || all.size < connections ? queue.shift() : undefined;
    if (next !== undefined) send(free.pop() ?? open(), next);
  }

  function send(connected: Connected, { request, done }: { request: Buffer; done: (status: number) => void }): void {
    connected.done = done;
    connected.socket.write(request);
  }

  return {
    post(request, done) {
      const connected = free.pop() ?? (all.size < connections ? open() : null);
      if (connected === null) queue.push({ request, done });
      else send(connected, { request, done });
    },
    close() {
      queue.length = 0;
      for (const { socket } of all) socket.destroy();
    },
  };
}
