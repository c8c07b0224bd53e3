// Everything around the product, in this one process: the carrier's API with its callbacks, and an agent.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Account, inboundText, messageSid, personNumber, statusCallback } from './carrier-side.ts';
import { type Client, createClient, jsonAnswer, serve } from './http-wire.ts';
import { createLedger, type Ledger, textBody } from './ledger.ts';
import type { PlannedText } from './text-load.ts';

export type World = {
  readonly carrierUrl: string;
  readonly agentUrl: string;
  /**
   * Offers the texts at their times and resolves when the last webhook is answered. A person's next text leaves when the one
   * before it was accepted, because only then is there an order to keep; its time counts from when it was due.
   */
  offer(load: string, plan: readonly PlannedText[]): { ledger: Ledger; sent: Promise<void> };
  /**
   * So many texts are always on their way: for each that is answered the next person texts, of as many in turn as there are.
   * Resolves when the time is up.
   */
  converse(
    load: string,
    talk: { waiting: number; people: number; seconds: number },
  ): {
    ledger: Ledger;
    over: Promise<void>;
  };
  /** The most calls that the agent held at once. */
  readonly mostHeld: number;
  /** Callbacks that are under way. */
  readonly openCallbacks: number;
  readonly failedCallbacks: number;
  /** How often we asked the carrier what became of a part; nothing is ever in doubt here, so this should be 0. */
  readonly lookups: number;
  close(): Promise<void>;
};

const CONNECTIONS = 256;
const FIRST_PERSON = Number(personNumber(0));

/** `agentMs`: how long the agent thinks; 0 unless told otherwise. */
export async function createWorld(account: Account, { agentMs = 0 } = {}): Promise<World> {
  let ledger: Ledger | null = null;
  let onReply: (person: number) => void = () => {};
  let held = 0;
  let mostHeld = 0;
  let openCallbacks = 0;
  let failedCallbacks = 0;
  let lookups = 0;
  const sentTo = new Map<string, object[]>();
  const webhooks = createClient(account.port, CONNECTIONS);
  const callbacks = createClient(account.port, CONNECTIONS);

  const carrier = await serve((head, bytes) => {
    const atMs = performance.now();
    if (head.startsWith('GET')) return list(head);
    const form = new URLSearchParams(bytes.toString('utf8'));
    const to = form.get('To') ?? '';
    const person = Number(to) - FIRST_PERSON;
    ledger?.replied(form.get('Body') ?? '', person, atMs);
    onReply(person);
    const sid = messageSid();
    const sent = { sid, to, body: form.get('Body'), status: 'sent', date_created: new Date().toUTCString() };
    sentTo.set(to, [...(sentTo.get(to) ?? []).slice(-9), sent]);
    const callback = new URL(form.get('StatusCallback') ?? '');
    // After this answer has left.
    setImmediate(report, callback.pathname + callback.search, sid, to);
    return jsonAnswer('201 Created', {
      sid,
      status: 'queued',
      num_segments: '1',
      error_code: null,
      error_message: null,
    });
  });

  /** Parts whose end we do not know are looked up; that the carrier is asked at all is worth knowing. */
  function list(head: string): Buffer {
    lookups++;
    const to = new URL(head.split(' ', 2)[1] ?? '', 'http://127.0.0.1').searchParams.get('To') ?? '';
    return jsonAnswer('200 OK', { messages: sentTo.get(to) ?? [], next_page_uri: null });
  }

  /** As the carrier would: sent, then delivered. */
  function report(path: string, sid: string, to: string): void {
    openCallbacks++;
    const call = (status: string, then: () => void) =>
      callbacks.post(statusCallback(account, path, sid, status, to), (code) => {
        if (code !== 200) failedCallbacks++;
        then();
      });
    call('sent', () =>
      call('delivered', () => {
        openCallbacks--;
      }),
    );
  }

  const agent = await serve((_head, bytes) => {
    const request = JSON.parse(bytes.toString('utf8'));
    const said = jsonAnswer('200 OK', {
      type: 'chat.response',
      message_id: `re-${request.message_id}`,
      in_reply_to: request.message_id,
      timestamp: request.timestamp,
      payload: { session_id: request.payload.session_id, message: request.payload.message },
    });
    return agentMs === 0 ? said : think(said);
  });

  async function think(said: Buffer): Promise<Buffer> {
    mostHeld = Math.max(mostHeld, ++held);
    await sleep(agentMs);
    held--;
    return said;
  }

  return {
    carrierUrl: `http://127.0.0.1:${carrier.port}`,
    agentUrl: `http://127.0.0.1:${agent.port}/`,
    offer(load, plan) {
      const current = createLedger(load);
      ledger = current;
      onReply = () => {};
      return { ledger: current, sent: offer(account, webhooks, current, load, plan) };
    },
    converse(load, shape) {
      const current = createLedger(load);
      ledger = current;
      const talk = startTalk(account, webhooks, current, load);
      onReply = talk.onReply;
      return { ledger: current, over: talk.run(shape) };
    },
    get mostHeld() {
      return mostHeld;
    },
    get openCallbacks() {
      return openCallbacks;
    },
    get lookups() {
      return lookups;
    },
    get failedCallbacks() {
      return failedCallbacks;
    },
    async close() {
      webhooks.close();
      callbacks.close();
      await Promise.all([carrier.close(), agent.close()]);
    },
  };
}

function offer(
  account: Account,
  webhooks: Client,
  ledger: Ledger,
  load: string,
  plan: readonly PlannedText[],
): Promise<void> {
  // Signed before the clock runs: the generator must not be what is measured.
  const requests = plan.map(({ person }, text) => inboundText(account, person, textBody(load, text)));
  const startMs = performance.now() + 20;
  const texts = plan.map(({ atMs, person }, i) => ({
    text: ledger.offer(person, startMs + atMs),
    person,
    request: requests[i]!,
  }));
  const waiting = new Map<number, (typeof texts)[number][]>();
  const all = Promise.withResolvers<void>();
  let answered = 0;
  if (texts.length === 0) all.resolve();

  function arrive(item: (typeof texts)[number]): void {
    const line = waiting.get(item.person);
    if (line !== undefined) line.push(item);
    else {
      waiting.set(item.person, []);
      leave(item);
    }
  }

  function leave(item: (typeof texts)[number]): void {
    webhooks.post(item.request, (status) => {
      if (status === 200) ledger.accepted(item.text);
      else ledger.refused(item.text);
      const next = waiting.get(item.person)?.shift();
      if (next === undefined) waiting.delete(item.person);
      else leave(next);
      if (++answered === texts.length) all.resolve();
    });
  }

  let next = 0;
  function tick(): void {
    const nowMs = performance.now() - startMs;
    while (next < texts.length && plan[next]!.atMs <= nowMs) arrive(texts[next++]!);
    if (next < texts.length) setTimeout(tick, plan[next]!.atMs - nowMs);
  }
  tick();
  return all.promise;
}

/** A closed loop: one text of a person's at a time, which is over when it was answered, by us and by the agent. */
function startTalk(account: Account, webhooks: Client, ledger: Ledger, load: string) {
  const outstanding = new Map<number, number>();
  let isOver = false;
  let next = 0;
  let people = 1;

  function text(): void {
    const person = next++ % people;
    // Two things are awaited, in either order: the 200, and the reply at the carrier.
    outstanding.set(person, 2);
    const number = ledger.offer(person, performance.now());
    webhooks.post(inboundText(account, person, textBody(load, number)), (status) => {
      if (status === 200) ledger.accepted(number);
      else {
        ledger.refused(number);
        // No reply will come: the place goes to the next.
        outstanding.set(person, 1);
      }
      came(person);
    });
  }

  function came(person: number): void {
    const left = (outstanding.get(person) ?? 0) - 1;
    outstanding.set(person, left);
    if (left === 0 && !isOver) text();
  }

  return {
    onReply: came,
    async run(shape: { waiting: number; people: number; seconds: number }): Promise<void> {
      people = shape.people;
      for (let n = 0; n < shape.waiting; n++) text();
      await sleep(shape.seconds * 1000);
      isOver = true;
    },
  };
}
