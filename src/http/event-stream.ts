// GET /v1/events: what happens, told to everybody who looks on. One hub per process; it keeps nothing that matters, and a
// client that does not read costs it a bounded buffer and then its connection.
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { now } from '../clock.ts';
import { DarkspereError } from '../errors.ts';
import type { LiveEvent, LiveFeed } from '../inbox/live.ts';
import type { Principal } from '../security/principal.ts';
import type { AgentEvent, ChangeEvent, PhoneEvent } from './contract.ts';

export type EventHub = {
  /** Answers the request with the stream, until the client leaves. Throws rate_limited when there are too many. */
  open(
    request: FastifyRequest,
    reply: FastifyReply,
    principal: Principal,
    lastEventId: string | undefined,
  ): FastifyReply;
  /** Ends what a session or a key holds open. */
  drop(principalId: string): void;
  readonly size: number;
  close(): void;
};

export type EventHubDeps = {
  /** Changes of all processes, as they happen. */
  readonly feed: LiveFeed;
  /** Events of the simulated carrier, where there is one; gives the function that ends it. */
  readonly watchPhones: ((listener: (event: PhoneEvent) => void) => () => void) | null;
  /** Which of these sessions and keys still open something. */
  readonly stillOpen: (ids: readonly string[]) => Promise<ReadonlySet<string>>;
  /** Between beats; default 5 s. */
  readonly beatMs?: number;
  /** Most clients of this process; default 2,000. */
  readonly maxClients?: number;
};

const BEAT_MS = 5_000;
const MAX_CLIENTS = 2_000;
/** Unread bytes at which a client is let go: it comes back behind the last event it saw. */
const MAX_BACKLOG = 1024 * 1024;
/** After a cut the browser waits this long, milliseconds. */
const RETRY_MS = 2_000;
const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  // No cache, and no proxy that would compress (and so hold back) it.
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
  'x-content-type-options': 'nosniff',
} as const;

type Client = {
  readonly response: ServerResponse;
  readonly socket: Socket;
  readonly principalId: string;
  /** Bytes that may wait for it: what it missed comes at once, and is no sign that it does not read. */
  maxBacklog: number;
};

export function createEventHub(deps: EventHubDeps): EventHub {
  const { feed, maxClients = MAX_CLIENTS } = deps;
  const clients = new Set<Client>();
  let isClosed = false;
  let last: { event: LiveEvent; frame: string } | null = null;

  const write = ({ response, socket, maxBacklog }: Client, frame: string): void => {
    if (response.destroyed || response.writableEnded) return;
    response.write(frame);
    if (response.writableLength > maxBacklog) socket.destroy();
  };
  /** All clients get the same event one after the other, and it is put into words once. */
  const frameOf = (event: LiveEvent): string => {
    // The compiler checks that what the feed tells is what the contract promises.
    const change: ChangeEvent | AgentEvent = event.change;
    const name = 'agent_id' in change ? 'agent' : 'change';
    if (last?.event !== event) last = { event, frame: frame(name, change, event.id) };
    return last.frame;
  };
  const tellAll = (text: string): void => {
    for (const client of clients) write(client, text);
  };
  /** A session that ended elsewhere ends here too. Nobody is thrown out because the database does not answer. */
  const dropEnded = async (): Promise<void> => {
    const ids = [...new Set([...clients].map(({ principalId }) => principalId))];
    if (ids.length === 0) return;
    const open = await deps.stillOpen(ids);
    for (const client of clients) if (!open.has(client.principalId)) client.response.end();
  };
  const beat = setInterval(() => {
    // Ended since the beat before, and it has not read even that: it would keep its place for ever.
    for (const { response, socket } of clients) if (response.writableEnded) socket.destroy();
    tellAll(beatFrame(feed.position));
    dropEnded().catch(() => {});
  }, deps.beatMs ?? BEAT_MS);
  beat.unref();
  const unwatch = deps.watchPhones?.((event) => tellAll(frame('phone', event)));

  return {
    get size() {
      return clients.size;
    },
    open(request, reply, principal, lastEventId) {
      if (isClosed || clients.size >= maxClients) {
        throw new DarkspereError(
          'rate_limited',
          `This process holds ${clients.size} streams already. Try again in 5 s.`,
          {
            facts: { retryAfterSeconds: 5 },
          },
        );
      }
      reply.hijack();
      const { raw: response } = reply;
      const { socket } = request.raw;
      // It left while its key was looked up: nothing would ever say so again.
      if (socket.destroyed) return reply;
      // The server closes silent connections after 10 s; this one is silent on purpose, and beats.
      socket.setTimeout(0);
      socket.setKeepAlive(true, 30_000);
      socket.setNoDelay(true);
      response.writeHead(200, HEADERS);
      const client: Client = { response, socket, principalId: principal.id, maxBacklog: Number.POSITIVE_INFINITY };
      write(client, `retry: ${RETRY_MS}\n\n`);
      const unsubscribe = feed.subscribe((event) => {
        write(client, event === 'reset' ? frame('reset', {}) : frameOf(event));
      }, lastEventId);
      // With its place: a stream that is cut before anything happened has one to go on from, too.
      write(client, beatFrame(feed.position));
      client.maxBacklog = response.writableLength + MAX_BACKLOG;
      clients.add(client);
      const leave = (): void => {
        socket.off('close', leave);
        clients.delete(client);
        unsubscribe();
      };
      response.on('close', leave);
      // A response that stands behind another one of its connection is not told that this was closed.
      socket.on('close', leave);
      // A client that leaves in the middle of a write.
      response.on('error', () => response.destroy());
      return reply;
    },
    drop(principalId) {
      for (const client of clients) if (client.principalId === principalId) client.response.end();
    },
    close() {
      isClosed = true;
      clearInterval(beat);
      unwatch?.();
      for (const { response } of clients) {
        response.end();
        // Whoever does not read would not see the end either.
        response.socket?.destroySoon();
      }
    },
  };
}

function beatFrame(id: string): string {
  return frame('beat', { at: now().toISOString() }, id);
}

/** JSON has no line breaks, so one `data` line carries it. */
function frame(event: string, data: unknown, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
