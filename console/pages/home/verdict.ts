// Is it well, in words? What an operator would want to be told first, and what follows from it.
import type { Instance, Overview } from '../../../src/http/contract.ts';
import { duration } from '../../parts/duration.ts';
import { formatAddress } from '../../parts/format-address.ts';

export type Tone = 'good' | 'warn' | 'bad';
/** Something that is not well. */
export type Finding = {
  readonly about: 'agents' | 'numbers' | 'waiting' | 'with_operator' | 'fell_back' | 'failed';
  readonly tone: 'warn' | 'bad';
  /** As a heading. */
  readonly headline: string;
  readonly reason: string;
  /** Where the things are that it speaks of, and what the link to them says; null where they have to be read again. */
  readonly href: string | null;
  readonly link: string;
};
export type Verdict = {
  readonly tone: Tone;
  readonly headline: string;
  readonly reason: string;
  /** The worst first. */
  readonly findings: readonly Finding[];
};

/** A turn may take a minute (DARKSPERE_TURN_MS), and a burst waits a little before it: what is older is not being answered. */
const WAIT_WARN_MS = 75_000;
const WAIT_BAD_MS = 180_000;
/** Somebody who answers by hand reads and types; nobody else answers meanwhile. */
const OPERATOR_WARN_MS = 180_000;
const OPERATOR_BAD_MS = 600_000;
/** Of a few turns one is a large share; it takes several to be more than bad luck. */
const FEW = 3;
const FELL_BACK_BAD = 0.05;
/** Numbers that are switched off or landlines always exist. */
const FAILED_WARN = 0.02;
const FAILED_BAD = 0.1;

const UNCHECKED: Finding = {
  about: 'numbers',
  tone: 'warn',
  headline: 'Not all could be checked',
  reason: 'Our numbers could not be read: whether somebody answers each of them is not known.',
  href: null,
  link: 'Try again',
};

/** The fallback goes out unless it did within the hour and nobody has answered since. */
const TOLD = 'people who text are told that nobody can answer, once an hour at most';

/** `numbers`: ours, with whom each asks; none while they are read for the first time, null when they could not be. */
export function judge(overview: Overview, numbers: Instance['numbers'] | null = []): Verdict {
  const findings = [
    agents(overview, numbers ?? []),
    numbers === null ? UNCHECKED : null,
    waiting(overview),
    withOperator(overview),
    fellBack(overview),
    failed(overview),
  ]
    .filter((finding) => finding !== null)
    .sort((a, b) => Number(b.tone === 'bad') - Number(a.tone === 'bad'));
  const [worst] = findings;
  if (worst) return { tone: worst.tone, headline: worst.headline, reason: worst.reason, findings };
  return { tone: 'good', ...wellness(overview), findings };
}

function wellness({ window, texts_in, time_to_answer_ms, turns, agents }: Overview) {
  const last = window === '1h' ? 'in the last hour' : 'in the last 24 hours';
  if (texts_in === 0) {
    const ready = agents.filter(isUp).length;
    return {
      headline: 'All is quiet',
      reason: `No text came ${last}. ${count(ready, 'agent is', 'agents are')} ready to answer.`,
    };
  }
  const came = `${count(texts_in, 'text', 'texts')} came ${last}`;
  if (turns.replied === 0 || time_to_answer_ms === null) return { headline: 'All is well', reason: `${came}.` };
  return {
    headline: 'All is well',
    reason: `${came}; half of the answers took less than ${duration(time_to_answer_ms.p50)}.`,
  };
}

function agents({ agents: all }: Overview, numbers: Instance['numbers']): Finding | null {
  const where = { about: 'agents', href: '#agents', link: 'See the agents' } as const;
  if (all.length === 0) {
    return {
      ...where,
      tone: 'bad',
      headline: 'Nobody is there to answer',
      reason: `No agent is registered: ${TOLD}.`,
    };
  }
  if (!all.some(isUp)) {
    const who = [
      ...whoIs(all.filter(isMissed), 'down'),
      ...whoIs(
        all.filter((agent) => !isMissed(agent)),
        'switched off',
      ),
    ];
    return { ...where, tone: 'bad', headline: 'No agent can answer', reason: `${who.join(', ')}: ${TOLD}.` };
  }
  const silent = numbers.filter((number) => number.is_active && !isServed(all, number.agent_type));
  if (silent.length > 0) {
    const types = [...new Set(silent.map(({ agent_type }) => agent_type))];
    const isKnown = all.some(({ type }) => types.includes(type));
    const they = silent.length === 1 ? 'It asks' : 'They ask';
    return {
      ...where,
      tone: 'bad',
      headline: `Nobody answers ${silent.length === 1 ? formatAddress(silent[0]!.address) : `${silent.length} of our numbers`}`,
      reason: `${they} agents of type ${listed(types)}, and none is ${isKnown ? 'up' : 'registered'}: ${TOLD}.`,
    };
  }
  const down = all.filter((agent) => !isUp(agent) && isMissed(agent));
  if (down.length === 0) return null;
  const names = listed(down.map(({ name }) => name));
  return {
    ...where,
    tone: 'warn',
    headline: down.length === 1 ? 'An agent is down' : `${down.length} agents are down`,
    reason: `${names} ${down.length === 1 ? 'does' : 'do'} not answer${down.every(({ type }) => isServed(all, type)) ? '; the others take over' : ''}.`,
  };
}

function waiting({ waiting: { texts, conversations, oldest_ms } }: Overview): Finding | null {
  if (oldest_ms === null || oldest_ms < WAIT_WARN_MS) return null;
  return {
    about: 'waiting',
    tone: oldest_ms < WAIT_BAD_MS ? 'warn' : 'bad',
    headline: oldest_ms < WAIT_BAD_MS ? 'Some texts wait long' : 'Texts are not being answered',
    reason: `${count(texts, 'text waits', 'texts wait')} in ${inConversations({ conversations })}, the oldest for ${duration(oldest_ms)}.`,
    href: '/conversations?state=waiting',
    link: 'See who waits',
  };
}

function withOperator({ waiting: { with_operator } }: Overview): Finding | null {
  const { texts, oldest_ms } = with_operator;
  if (oldest_ms === null || oldest_ms < OPERATOR_WARN_MS) return null;
  return {
    about: 'with_operator',
    tone: oldest_ms < OPERATOR_BAD_MS ? 'warn' : 'bad',
    headline: texts === 1 ? 'A text waits for an operator' : 'Texts wait for an operator',
    reason: `${count(texts, 'text waits', 'texts wait')} in ${inConversations(with_operator)} taken over by hand, the oldest for ${duration(oldest_ms)}; no agent answers there.`,
    href: '/conversations?state=taken_over',
    link: 'See what is taken over',
  };
}

function fellBack({ window, turns: { replied, fell_back } }: Overview): Finding | null {
  if (fell_back === 0) return null;
  const isBad = fell_back >= FEW && fell_back / (replied + fell_back) >= FELL_BACK_BAD;
  return {
    about: 'fell_back',
    tone: isBad ? 'bad' : 'warn',
    headline: isBad ? 'Many texts find no answer' : 'Not every text found an answer',
    reason: `${count(fell_back, 'turn', 'turns')} of ${whole(replied + fell_back)} ended without an answer; ${TOLD}.`,
    href: `/conversations?state=fell_back&since=${window}`,
    link: 'See which',
  };
}

function failed({ window, parts }: Overview): Finding | null {
  const share = failedShare(parts);
  if (share < FAILED_WARN) return null;
  const isBad = parts.failed >= FEW && share >= FAILED_BAD;
  return {
    about: 'failed',
    tone: isBad ? 'bad' : 'warn',
    headline: isBad ? 'Many answers do not arrive' : 'Not every answer arrived',
    reason: `${whole(parts.failed)} of ${count(outgoing(parts), 'part', 'parts')} of what went out ${parts.failed === 1 ? 'was' : 'were'} not delivered.`,
    href: `/conversations?state=undelivered&since=${window}`,
    link: 'See which',
  };
}

/** Parts of what went out: those that arrived, those that did not, and those of which the carrier has not said yet. */
export const outgoing = ({ delivered, failed, under_way }: Overview['parts']) => delivered + failed + under_way;

/** How many of them were not delivered, 0 to 1. */
export const failedShare = (parts: Overview['parts']) => (parts.failed === 0 ? 0 : parts.failed / outgoing(parts));

/** Whether texts are routed to it. */
export function isUp({ status }: Overview['agents'][number]): boolean {
  return status !== 'disabled' && status !== 'deactivated';
}

/** Whom an operator has switched off nobody misses. */
function isMissed({ disabled }: Overview['agents'][number]): boolean {
  return disabled === null;
}

function whoIs(agents: Overview['agents'], what: string): string[] {
  if (agents.length === 0) return [];
  return [`${listed(agents.map(({ name }) => name))} ${agents.length === 1 ? 'is' : 'are'} ${what}`];
}

function isServed(agents: Overview['agents'], type: string): boolean {
  return agents.some((agent) => isUp(agent) && agent.type === type);
}

function listed(names: readonly string[]): string {
  if (names.length > 3) return `${names.slice(0, 2).join(', ')} and ${names.length - 2} others`;
  return [names.slice(0, -1).join(', '), names.at(-1)].filter(Boolean).join(' and ');
}

const inConversations = ({ conversations }: { conversations: number }) =>
  conversations === 1 ? 'one conversation' : `${whole(conversations)} conversations`;
const whole = (n: number) => n.toLocaleString('en');
const count = (n: number, one: string, many: string) => `${whole(n)} ${n === 1 ? one : many}`;
