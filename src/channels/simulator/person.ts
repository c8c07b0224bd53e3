// A person with a phone, for tests: texts us, sees what reached the phone, and waits for texts without sleeping.
import type { Carrier } from './carrier.ts';
import type { Events } from './events.ts';
import type { Message, MessageStore } from './message.ts';

/** A text that reached the phone. */
export type Received = Readonly<Pick<Message, 'sid' | 'from' | 'to' | 'body' | 'mediaUrls' | 'segments' | 'direction'>>;

export type Person = {
  readonly phone: string;
  /** Sends a text; resolves when our webhook has answered. `status` is its HTTP status, 0 when there was no answer. */
  text(body: string, options?: { to?: string; media?: readonly string[] }): Promise<{ sid: string; status: number }>;
  /** Every text that reached the phone, oldest first. */
  texts(): readonly Received[];
  /**
   * The oldest text that no earlier call returned and that `accepts` accepts, now or within `timeoutMs` (10 s);
   * rejects when none comes.
   */
  next(accepts?: (text: Received) => boolean, timeoutMs?: number): Promise<Received>;
};

type Waiter = { readonly accepts: (text: Received) => boolean; readonly resolve: (text: Received) => void };

function createInbox() {
  const texts: Received[] = [];
  const unread = new Set<Received>();
  const waiters = new Set<Waiter>();
  return {
    texts,
    add(text: Received): void {
      texts.push(text);
      for (const waiter of waiters) {
        if (!waiter.accepts(text)) continue;
        waiters.delete(waiter);
        waiter.resolve(text);
        return;
      }
      unread.add(text);
    },
    next(accepts: (text: Received) => boolean, timeoutMs: number): Promise<Received> {
      for (const text of unread) {
        if (!accepts(text)) continue;
        unread.delete(text);
        return Promise.resolve(text);
      }
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiters.delete(waiter);
          reject(new Error(`No such text reached the phone within ${timeoutMs} ms (${texts.length} others did).`));
        }, timeoutMs);
        const waiter: Waiter = {
          accepts,
          resolve(text) {
            clearTimeout(timer);
            resolve(text);
          },
        };
        waiters.add(waiter);
      });
    },
  };
}

/** `person(phone)` makes a phone and remembers it; asked again for the same number it returns the same phone. */
export function createPeople(carrier: Carrier, store: MessageStore, events: Events): (phone: string) => Person {
  const people = new Map<string, { person: Person; receive: (text: Received) => void }>();

  const create = (phone: string) => {
    const inbox = createInbox();
    const person: Person = {
      phone,
      async text(body, options = {}) {
        const to = options.to === undefined ? {} : { to: options.to };
        const sent = carrier.textFromPerson({ from: phone, body, mediaUrls: options.media ?? [], ...to });
        return { sid: sent.sid, status: await sent.answered };
      },
      texts: () => inbox.texts,
      next: (accepts = () => true, timeoutMs = 10_000) => inbox.next(accepts, timeoutMs),
    };
    // What came before anybody held this phone, oldest first.
    for (const message of [...store.all()].reverse()) {
      const hasArrived = message.status === 'delivered' || message.status === 'read';
      if (message.to === phone && hasArrived) inbox.add(message);
    }
    return { person, receive: inbox.add };
  };

  events.subscribe(({ type, message, status }) => {
    if (type === 'status' && status === 'delivered') people.get(message.to)?.receive(message);
  });

  return (phone) => {
    let known = people.get(phone);
    if (known === undefined) {
      known = create(phone);
      people.set(phone, known);
    }
    return known.person;
  };
}
