// Agents in every mood. In a good one they say which texts they were shown; the history knows what they were shown anyway.
import { type Act, type Behaviour, HANG, rightAnswer, type ScriptedAgent } from '../support/scripted-agent.ts';
import { type AgentCall, wordsIn } from './history.ts';

export type Mood = 'good' | 'slow' | 'hanging' | 'flapping' | 'lying';

export type MoodyAgent = {
  readonly name: string;
  readonly behaviour: Behaviour;
  be(mood: Mood, slowMs?: number): void;
};

/** Characters of a long answer: three parts. */
const LONG = 3_500;
/** One answer in so many is long. */
const LONG_EVERY = 20;

/** An agent whose calls are written into `calls`. */
export function createAgent(name: string, calls: AgentCall[]): MoodyAgent {
  let mood: Mood = 'good';
  let slowMs = 0;
  let turn = 0;
  return {
    name,
    be(next, ms = 0) {
      mood = next;
      slowMs = ms;
    },
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
      return { text: answerTo(words), delayMs: mood === 'slow' ? slowMs : 0 };
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
