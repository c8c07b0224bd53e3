// What comes of meeting an agent without giving it any work, over whatever protocol; and the two ways of asking that several share.
import type { Dispatcher } from 'undici';
import { now } from '../../clock.ts';
import { egressFetch } from '../../security/egress-fetch.ts';
import type { Approach } from '../agent.ts';
import type { Wire } from './sdk-wire.ts';
import { type Failed, failureOf, failureOfStatus } from './wire.ts';

/** What it can do, or how it is, which is the smaller question where there are two. */
export type About = 'capabilities' | 'health';

export type Meeting = {
  readonly outcome: Met | NotAsked | Failed;
  /** The status of the newest HTTP answer; null: there was none. */
  readonly status: number | null;
};

/** It is what it was registered as, and says that it is well where it was asked that. */
export type Met = {
  readonly kind: 'met';
  readonly detail: string;
  /** What the agent itself names: capabilities, tools, skills or models. */
  readonly offers: readonly string[];
  readonly name: string | null;
  readonly version: string | null;
  readonly limits: Readonly<Record<string, unknown>>;
  /** 0–1, as the agent says it. */
  readonly load: number | null;
};

/** It has no such question, or does not know it, which agents need not. Whether it answers at all is in the status. */
export type NotAsked = { readonly kind: 'none'; readonly detail: string };

const MAX_OFFERS = 200;
const MAX_NAME = 200;
/** Providers list hundreds of models. */
const MAX_LIST_BYTES = 1_048_576;
/** Statuses of a server that has nothing at the address, or nothing for a GET: what it says to a question is another matter. */
const UNASKED = new Set([400, 404, 405, 406, 409, 410, 415, 422, 501]);

/** The outcome that it was met; what it names may be anything, and gets bounds here. */
export function met(detail: string, says: Partial<Omit<Met, 'kind' | 'detail'>> = {}): Met {
  const { offers = [], name = null, version = null, limits = {}, load = null } = says;
  const bounded = (text: string | null) => text?.slice(0, MAX_NAME) ?? null;
  return {
    kind: 'met',
    detail,
    offers: offers.slice(0, MAX_OFFERS).map((offer) => offer.slice(0, MAX_NAME)),
    name: bounded(name),
    version: bounded(version),
    limits,
    load,
  };
}

export function none(detail: string): NotAsked {
  return { kind: 'none', detail };
}

/** Asks with GET; `read` makes something of an answer of 200–299. Never throws. */
export async function meetByGet(
  { deadlines, signal }: Approach,
  http: Dispatcher,
  url: URL,
  headers: Readonly<Record<string, string>>,
  read: (answer: Response) => Promise<Meeting['outcome']>,
): Promise<Meeting> {
  let status: number | null = null;
  try {
    const init = { headers: { accept: 'application/json', ...headers } };
    const answer = await egressFetch(http, url, init, { deadlines, maxBytes: MAX_LIST_BYTES, signal });
    status = answer.status;
    if (answer.ok) return { outcome: await read(answer), status };
    await answer.body?.cancel();
    if (UNASKED.has(status)) return { outcome: none(`it answers GET ${url.pathname} with ${status}`), status };
    return { outcome: failureOfStatus({ status, headers: {} }, now())!, status };
  } catch (error) {
    return { outcome: failureOf(error), status };
  }
}

/** Asks over a wire, which it ends; what a library throws is for `failure` to name. Never throws. */
export async function meetOver(
  wire: Wire,
  ask: () => Promise<Meeting['outcome']>,
  failure: (error: unknown) => Failed,
): Promise<Meeting> {
  const outcome = await ask().catch(failure);
  wire.close();
  return { outcome, status: wire.status() };
}
