// A reader of server-sent events, as a browser is one; or one that does not read.
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { until } from './until.ts';

export type ServerSent = { readonly event: string; readonly id: string | null; readonly data: unknown };

export type EventSource = {
  readonly response: IncomingMessage;
  readonly events: readonly ServerSent[];
  /** True once the server ended the stream or cut the connection. */
  isOver(): boolean;
  /** The first event of this name behind those that an earlier call gave. */
  next(event: string): Promise<ServerSent>;
  close(): void;
};

/** Opens the stream; rejects when it is refused. With `reads: false` nothing is taken from the connection any more. */
export async function openEvents(
  url: string,
  headers: Readonly<Record<string, string>> = {},
  options: { reads?: boolean } = {},
): Promise<EventSource> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked: ClientRequest = httpRequest(url, { headers, agent: false }, resolve);
    asked.on('error', reject).end();
  });
  if (response.statusCode !== 200) {
    throw new Error(`the stream was answered ${response.statusCode}: ${Buffer.concat(await response.toArray())}`);
  }
  const events: ServerSent[] = [];
  let rest = '';
  let over = false;
  let given = 0;
  response.on('close', () => (over = true)).on('error', () => (over = true));
  if (options.reads !== false) {
    response.setEncoding('utf8').on('data', (chunk: string) => {
      const frames = (rest + chunk).split('\n\n');
      rest = frames.pop()!;
      events.push(...frames.map(parse).filter((event) => event !== null));
    });
  }
  return {
    response,
    events,
    isOver: () => over,
    async next(name) {
      const at = await until(() => 1 + events.findIndex(({ event }, n) => n >= given && event === name), {
        what: `an event ${name}`,
      });
      given = at;
      return events[at - 1]!;
    },
    close: () => response.destroy(),
  };
}

function parse(frame: string): ServerSent | null {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(frame)?.[1] ?? null;
  const event = field('event');
  return event === null ? null : { event, id: field('id'), data: JSON.parse(field('data') ?? 'null') };
}
