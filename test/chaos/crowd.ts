// People who text: what each says and when follows from the seed. A text that was not answered 200 is sent again under the
// same id until it is, as a carrier with a fallback does, and only then comes the next one.
import { setTimeout as pause } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { createSlots } from '../../src/bridge/slots.ts';
import { createRandom } from '../../src/channels/simulator/random.ts';
import { newSid, twilioSignature } from '../support/signed-webhook.ts';
import type { SentText, TextKind } from './history.ts';

export type CrowdOptions = {
  readonly seed: number;
  readonly people: number;
  readonly texts: number;
  /** The texts are spread over this time. */
  readonly durationMs: number;
  /** Our numbers: everybody texts one of them. */
  readonly numbers: readonly string[];
  readonly webhookUrl: string;
  readonly account: { readonly accountSid: string; readonly authToken: string };
};

type Planned = { readonly atMs: number; readonly body: string; readonly kind: TextKind; readonly copy: Copy };
/** A webhook delivered twice: at the same time, or again after its 200. */
type Copy = 'none' | 'at once' | 'later';

const STOPS = ['STOP', 'Stop.', 'opt-out'];
const INFOS = ['HELP', 'RESET'];
/** Of all people, those who stop (and mostly come back) and those who use another keyword. */
const STOPPING = 0.06;
const ASKING = 0.06;
const COPIED = 0.05;
/** Texts that follow within a moment: a burst. */
const BURST = 0.25;
/** How long a webhook may take before it counts as unanswered. */
const PATIENCE_MS = 5_000;
/**
 * Webhooks under way at once, as a carrier limits them too. After an outage everybody's next text is due: two thousand that give
 * up together and come again keep the queue of connections full for ever, and nobody gets through who has not given up already.
 */
const UNDER_WAY = 128;

/** What everybody is going to say. */
export function planOf({ seed, people, texts, durationMs }: CrowdOptions): Planned[][] {
  const random = createRandom(seed ^ 0x5eed);
  const chance = (share: number) => random.fraction() < share;
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.fraction() * list.length)]!;
  const copyOf = (): Copy => (chance(COPIED) ? (chance(0.5) ? 'at once' : 'later') : 'none');
  return Array.from({ length: people }, (_, person) => {
    const count = Math.floor(texts / people) + (person < texts % people ? 1 : 0);
    const kinds: [TextKind, string][] = Array.from({ length: count }, (_, n) => ['text', `${person}.${n}`]);
    if (chance(STOPPING)) {
      const at = Math.floor(random.fraction() * count);
      // Stops, says something that nobody answers, and comes back.
      if (chance(0.8)) kinds.splice(Math.min(at + 1, count), 0, ['start', 'START']);
      kinds.splice(at, 0, ['stop', pick(STOPS)]);
    }
    if (chance(ASKING)) kinds.splice(Math.floor(random.fraction() * count), 0, ['info', pick(INFOS)]);
    const times = kinds.map(() => random.fraction() * durationMs).sort((a, b) => a - b);
    return kinds.map(([kind, body], n) => ({
      atMs: n > 0 && chance(BURST) ? times[n - 1]! + 20 : times[n]!,
      kind,
      body,
      copy: copyOf(),
    }));
  });
}

/** Everybody begins to text. `done` resolves when all of it was answered 200, duplicates included. */
export function startCrowd(options: CrowdOptions) {
  const { account, numbers, webhookUrl } = options;
  const texts: SentText[] = [];
  const http = new Agent({ connections: UNDER_WAY, connect: { timeout: 2_000 } });
  const underWay = createSlots(UNDER_WAY);
  const startedMs = performance.now();
  let acked = 0;
  const copies: Promise<unknown>[] = [];

  const post = (text: SentText) => underWay.run(() => postNow(text));

  async function postNow(text: SentText): Promise<boolean> {
    if (text.posts === 0) text.postedAtMs = Date.now();
    text.posts += 1;
    const fields = {
      AccountSid: account.accountSid,
      MessageSid: text.sid,
      From: text.from,
      To: text.to,
      Body: text.body,
      NumMedia: '0',
    };
    try {
      const answer = await request(webhookUrl, {
        method: 'POST',
        dispatcher: http,
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'x-twilio-signature': twilioSignature(account.authToken, webhookUrl, fields),
        },
        body: new URLSearchParams(fields).toString(),
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      await answer.body.dump();
      if (answer.statusCode !== 200) return false;
      text.ackedAtMs ??= Date.now();
      return true;
    } catch {
      return false;
    }
  }

  async function say(from: string, to: string, planned: Planned): Promise<void> {
    const text: SentText = {
      sid: newSid(),
      from,
      to,
      body: planned.body,
      kind: planned.kind,
      postedAtMs: Date.now(),
      ackedAtMs: null,
      posts: 0,
    };
    texts.push(text);
    const copy = planned.copy === 'at once' ? post(text) : null;
    for (let tries = 0; !(await post(text)); tries++) await pause(Math.min(1_000, 50 * 2 ** tries));
    acked += 1;
    if (copy !== null) copies.push(copy);
    if (planned.copy === 'later') copies.push(pause(500).then(() => post(text)));
  }

  async function live(person: number, plan: readonly Planned[]): Promise<void> {
    const from = phoneOf(person);
    const to = numbers[person % numbers.length]!;
    for (const planned of plan) {
      await pause(Math.max(0, planned.atMs - (performance.now() - startedMs)));
      await say(from, to, planned);
    }
  }

  const plans = planOf(options);
  const planned = plans.reduce((sum, plan) => sum + plan.length, 0);
  const done = Promise.all(plans.map((plan, person) => live(person, plan)))
    .then(() => Promise.all(copies))
    .then(() => http.destroy());
  return {
    texts,
    planned,
    get acked() {
      return acked;
    },
    done,
  };
}

const phoneOf = (person: number) => `+1556${String(person).padStart(7, '0')}`;
