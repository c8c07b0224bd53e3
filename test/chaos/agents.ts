// Agents in every mood. In a good one they say which texts they were shown; the history knows what they were shown anyway.
import { setTimeout as pause } from 'node:timers/promises';
import { createSlots } from '../../src/bridge/slots.ts';
import {
  type Act,
  type Behaviour,
  HANG,
  type Payload,
  rightAnswer,
  type ScriptedAgent,
} from '../support/scripted-agent.ts';
import { type AgentCall, type AgentPost, wordsIn } from './history.ts';

/** `later`: says 202 and posts the answer. `talkative`: answers, and posts something of its own. */
export type Mood = 'good' | 'slow' | 'hanging' | 'flapping' | 'lying' | 'later' | 'talkative';

export type MoodyAgent = {
  readonly name: string;
  readonly behaviour: Behaviour;
  /** `ms`: how slow it is, or how much later it posts. */
  be(mood: Mood, ms?: number): void;
  /** Where and as whom it posts. */
  postTo(gateway: string, apiKey: string): void;
  /** It posts nothing more. */
  hush(): void;
};

/** Characters of a long answer: three parts. */
const LONG = 3_500;
/** One answer in so many is long. */
const LONG_EVERY = 20;

/** A try of a post; a wire may have swallowed it. */
const POST_MS = 3_000;
/** Posts of an agent under way at once: after a stalled wire all that it has to say is due, see UNDER_WAY in crowd.ts. */
const POSTS_UNDER_WAY = 16;
/** Another try may go better: nothing came back, the gateway cannot, or the call that it answers still counts as open. */
const mayPass = (status: number, code: string) => status >= 500 || code === 'conflict';

/** An agent whose calls and posts are written into `calls` and `posts`. */
export function createAgent(name: string, calls: AgentCall[], posts: AgentPost[]): MoodyAgent {
  let mood: Mood = 'good';
  let delayMs = 0;
  let turn = 0;
  let notes = 0;
  let door = { gateway: '', apiKey: '' };
  const hushed = new AbortController();
  const underWay = createSlots(POSTS_UNDER_WAY);

  /** Under one key until somebody has said what became of it. */
  async function post(payload: Payload, about: { text: string; answers: readonly string[]; inReplyTo?: string }) {
    const noted: AgentPost = {
      agent: name,
      atMs: Date.now(),
      conversationId: payload.conversation_id,
      text: about.text,
      answers: about.answers,
      end: 'open',
    };
    posts.push(noted);
    const body = { text: about.text, ...(about.inReplyTo === undefined ? {} : { in_reply_to: about.inReplyTo }) };
    const key = `${name} ${about.inReplyTo ?? about.text}`.replaceAll(' ', '-');
    let isSure = true;
    for (let tries = 0; noted.end === 'open' && !hushed.signal.aborted; tries++) {
      if (tries > 0) await pause(Math.min(1_000, 50 * 2 ** tries));
      const answer = await underWay.run(() => tryPost(payload.conversation_id, body, key)).catch(() => null);
      isSure &&= answer !== null && answer.status < 500;
      if (answer === null || mayPass(answer.status, answer.code)) continue;
      noted.end = answer.status < 300 ? 'taken' : isSure ? 'refused' : 'unsure';
    }
  }

  async function tryPost(conversationId: string, body: object, key: string) {
    const answer = await fetch(`${door.gateway}/v1/conversations/${conversationId}/messages`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${door.apiKey}`,
        'idempotency-key': key,
      },
      body: JSON.stringify(body),
      signal: AbortSignal.any([hushed.signal, AbortSignal.timeout(POST_MS)]),
    });
    const { error } = (await answer.json()) as { error?: { code: string } };
    return { status: answer.status, code: error?.code ?? '' };
  }

  async function postLater(payload: Payload, ms: number, about: Parameters<typeof post>[1]): Promise<void> {
    await pause(ms);
    await post(payload, about);
  }

  return {
    name,
    be(next, ms = 0) {
      mood = next;
      delayMs = ms;
    },
    postTo(gateway, apiKey) {
      door = { gateway, apiKey };
    },
    hush: () => hushed.abort(),
    async behaviour(payload, call) {
      const words = wordsIn(payload.message);
      const noted = {
        agent: name,
        atMs: Date.now(),
        messageId: call.messageId,
        words,
        get end(): AgentCall['end'] {
          return call.answered ? 'answered' : call.aborted ? 'cut' : 'running';
        },
      };
      calls.push(noted);
      turn += 1;
      if (mood === 'hanging') return HANG;
      if (mood === 'lying') return LIES[turn % LIES.length]!(call);
      if (mood === 'flapping' && turn % 2 === 0) return FAILURES[turn % FAILURES.length]!;
      if (mood === 'later') {
        void postLater(payload, delayMs, { text: answerTo(words), answers: words, inReplyTo: call.messageId });
        return { status: 202 };
      }
      if (mood === 'talkative') {
        notes += 1;
        void postLater(payload, delayMs, { text: `By the way, this is note ${notes} of ${name}`, answers: [] });
      }
      return { text: answerTo(words), delayMs: mood === 'slow' ? delayMs : 0 };
    },
  };
}

const FAILURES: readonly Act[] = [
  { status: 500 },
  { status: 503 },
  { status: 429, headers: { 'retry-after': '1' } },
  { status: 404 },
];

/** Answers that must never reach a person. */
const LIES: readonly ((call: Parameters<Behaviour>[1]) => Act)[] = [
  () => ({ body: 'this is not JSON' }),
  () => ({ body: '{"type":"chat.response","payload":{"message":"half of it' }),
  () => ({ body: { type: 'chat.response' } }),
  (call) => ({
    body: { ...rightAnswer(call, { text: 'an answer to something else' }), in_reply_to: 'something else' },
  }),
  () => ({ text: '' }),
  () => ({ body: 'x'.repeat(80_000) }),
  () => ({ status: 302, headers: { location: 'http://127.0.0.1:1/' } }),
];

/** The texts' own words, so that an answer can be told from every other one; some answers are long. */
function answerTo(words: readonly string[]): string {
  const short = `You said ${words.join(' ')} and nothing else`;
  const [first = '0.0'] = words;
  if (Number(first.split('.')[0]) % LONG_EVERY !== 7) return short;
  // No filler is said twice: two parts with the same words would look like one part sent twice.
  const name = first.replace('.', '-');
  const filler = Array.from({ length: LONG / 20 }, (_, n) => `line ${n} for ${name}`);
  return `${short}, ${filler.join(', ')}`;
}

export type RunningAgent = MoodyAgent & Pick<ScriptedAgent, 'down' | 'up' | 'id'>;
