// What a text means before any agent sees it. Pure; the words are data.

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
  const bare = text
    .normalize('NFKD')
    .replace(/[^\p{Letter}\p{Number}]/gu, '')
    .toUpperCase();
  return Object.hasOwn(WORDS, bare) ? WORDS[bare]! : null;
}

/** YES brings back somebody who opted out; from anybody else it is an answer to the agent. */
export function isYes(text: string): boolean {
  return /^\W*yes\W*$/i.test(text);
}
