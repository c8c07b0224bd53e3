// What a text means before any agent sees it. Pure; the words are data.
import type { AgentChoosing, NumberWords } from '../accounts/numbers.ts';

export type Keyword = 'stop' | 'start' | 'help' | 'reset' | 'more';

// The carriers' own lists (Twilio's default opt-out handling) plus what people really type.
const WORDS: Readonly<Record<string, Keyword>> = {
  STOP: 'stop',
  STOPALL: 'stop',
  UNSUBSCRIBE: 'stop',
  CANCEL: 'stop',
  END: 'stop',
  QUIT: 'stop',
  REVOKE: 'stop',
  OPTOUT: 'stop',
  ARRET: 'stop',
  START: 'start',
  UNSTOP: 'start',
  HELP: 'help',
  INFO: 'help',
  RESET: 'reset',
  MORE: 'more',
};

/**
 * The keyword a text consists of, or null when it is a text for the agent. Case, spaces, accents and punctuation do not
 * count: "Stop.", " stop all ", "OPT-OUT" and "arrêt" are all opt-outs, "please stop" is not.
 */
export function keywordOf(text: string): Keyword | null {
  if (text.length > 40) return null;
  const bare = bareWord(text);
  return Object.hasOwn(WORDS, bare) ? WORDS[bare]! : null;
}

/** A text as keywords are compared: only letters and digits, without accents, in capitals. */
export function bareWord(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/[^\p{Letter}\p{Number}]/gu, '')
    .toUpperCase();
}

/** YES brings back somebody who opted out; from anybody else it is an answer to the agent. */
export function isYes(text: string): boolean {
  return /^\W*yes\W*$/i.test(text);
}

export type AgentChoice =
  | { readonly kind: 'list' }
  | { readonly kind: 'use'; readonly name: string }
  | { readonly kind: 'word'; readonly target: NumberWords[string] };

const LIST = 'AGENTS';
const LONGEST_NAME = 60;

/**
 * The choice that a text makes, or null. The words of consent come first: whatever a number was given, STOP stays STOP. Whether
 * there is an agent of that name is for the caller to find out; "use my card" is a text like any other where there is none.
 */
export function choiceOf(text: string, { isOffered, words }: AgentChoosing): AgentChoice | null {
  if (text.length > LONGEST_NAME + 10 || keywordOf(text) !== null || isYes(text)) return null;
  const bare = bareWord(text);
  if (Object.hasOwn(words, bare)) return { kind: 'word', target: words[bare]! };
  if (!isOffered) return null;
  if (bare === LIST) return { kind: 'list' };
  const name = /^\W*use\s+(\S.*)$/iu.exec(text)?.[1];
  return name === undefined || bareWord(name) === '' ? null : { kind: 'use', name };
}

/** Why a number may not have this word, or null. A bare form that is nothing, or means something already, would never be heard. */
export function wordProblem(word: string): string | null {
  const bare = bareWord(word);
  if (bare === '') return 'has no letter or digit';
  if (bare.length > 30) return 'is longer than 30 letters';
  if (Object.hasOwn(WORDS, bare) || bare === 'YES') return `means ${WORDS[bare] ?? 'yes'} already, at every number`;
  if (bare === LIST || bare === 'USE') return 'is how people choose an agent by its name';
  return null;
}
