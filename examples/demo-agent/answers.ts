// What the demo agent says. Pure: a question with its conversation in, an answer out; the server does what is asked for.
import { calculate, formatNumber } from './arithmetic.ts';
import { clip, roomIn, toGsm } from './gsm.ts';
import { convert } from './units.ts';
import { timeIn, zoneOf } from './world-clock.ts';

export type Question = {
  readonly text: string;
  /** Oldest first, without the text itself. */
  readonly history: readonly { readonly role: 'user' | 'assistant'; readonly content: string }[];
  /** Pictures and other files that came with the text. */
  readonly mediaCount: number;
  /** Reminders of this conversation that are still to come, soonest first. */
  readonly reminders: readonly { readonly text: string; readonly dueMs: number }[];
  readonly now: Date;
};

export type Answer = {
  readonly text: string;
  /** To be set. */
  readonly reminders: readonly { readonly text: string; readonly inMs: number }[];
  /** All reminders of this conversation are to be dropped. */
  readonly forget: boolean;
};

const MAX_REMINDERS = 5;
const MAX_SEGMENTS = 3;
// More lines than that are no burst of texts but something pasted.
const MAX_LINES = 10;
const MAX_REMINDER_MS = 7 * 24 * 3_600_000;
const TRY =
  'Try "time in Tokyo", "18% of 64.50", "5 miles in km", "remind me in 10 seconds to stretch" or "what did I say?"';
const WHO = "I'm the Darkspere demo agent: a program, not a person and not an LLM.";

type Said = {
  readonly text: string;
  readonly remind?: { readonly text: string; readonly inMs: number };
  readonly forget?: true;
};
/** `plain` is the line in lower case without closing punctuation; `line` is as it was written. */
type Skill = (asked: { plain: string; line: string }, question: Question) => Said | string | null;

const SKILLS: readonly Skill[] = [
  aboutMe,
  smallTalk,
  names,
  memory,
  setReminder,
  manageReminders,
  clock,
  conversion,
  sum,
];

/** The answer to one turn, within the GSM-7 alphabet and at most `budget` (never more than three segments). */
export function answer(question: Question, budget: { maxCharacters: number; maxSegments: number }): Answer {
  const said = understand(question);
  const first = question.history.length === 0;
  const text = said.length > 0 ? said.map((one) => one.text).join('\n') : lost(question);
  const greeted = first ? greet(text, said.length > 0) : text;
  const room = Math.min(
    roomIn(Math.min(MAX_SEGMENTS, Math.max(1, budget.maxSegments))),
    Math.max(1, budget.maxCharacters),
  );
  return {
    text: clip(toGsm(greeted), room),
    reminders: said.flatMap(({ remind }) => (remind === undefined ? [] : [remind])),
    forget: said.some(({ forget }) => forget === true),
  };
}

/** A burst of texts arrives as lines of one turn: each that makes sense is answered, else they are read as one sentence. */
function understand(question: Question): Said[] {
  const lines = question.text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(0, MAX_LINES);
  const answers = lines.flatMap((line, index) => {
    const earlier = lines.slice(0, index).map((content) => ({ role: 'user', content }) as const);
    return ask(line, { ...question, history: [...question.history, ...earlier] }) ?? [];
  });
  if (answers.length === 0 && lines.length > 1) return [ask(lines.join(' '), question) ?? []].flat();
  const seen = new Set<string>();
  return answers.filter(({ text }) => !seen.has(text) && seen.add(text));
}

function ask(line: string, question: Question): Said | null {
  const written = line.replace(/[‘’]/g, "'").replace(/\s+/g, ' ').trim();
  const plain = written.toLowerCase().replace(/[\s?.!=]+$/, '');
  for (const skill of SKILLS) {
    const said = skill({ plain, line: written.replace(/[\s?.!]+$/, '') }, question);
    if (said !== null) return typeof said === 'string' ? { text: said } : said;
  }
  return null;
}

function greet(text: string, understood: boolean): string {
  return understood ? `Hi! ${WHO}\n${text}\nText MORE to see what I can do.` : `Hi! ${WHO}\n${TRY}`;
}

function lost({ mediaCount, text }: Question): string {
  if (mediaCount > 0 && text.trim() === '') return `Thanks for the picture! I can only read words, though. ${TRY}`;
  return `I'm only a small demo program and did not get that. ${TRY}`;
}

function aboutMe({ plain }: { plain: string }): Said | string | null {
  if (
    /^(?:(?:who|what) (?:are|r) (?:you|u)|(?:are|r) (?:you|u) (?:a |an )?(?:real|human|person|bot|robot|ai|llm|chatgpt)\b.*)$/.test(
      plain,
    )
  ) {
    return `${WHO} I show how an agent answers texts. Text MORE to see what I can do.`;
  }
  const help = /^(?:more|menu|commands|options|examples?|help me|what can (?:you|u|i) do.*|\?*)$/;
  return help.test(plain) ? `Here is what I can do. ${TRY}` : null;
}

function smallTalk({ plain }: { plain: string }, { history }: Question): string | null {
  if (/^(?:hi|hello|hey|yo|hiya|howdy|good (?:morning|afternoon|evening))(?: there| again)?$/.test(plain)) {
    // The first text of a session is greeted with more than this anyway.
    return history.length === 0 ? null : 'Hello again! Text MORE to see what I can do.';
  }
  if (/^(?:thanks|thank you|thx|ty|cheers)\b.{0,20}$/.test(plain)) return "You're welcome!";
  if (/^(?:bye|goodbye|good night|see you|cya)$/.test(plain)) return 'Bye! Text me any time.';
  return /^how (?:are|r) (?:you|u)\b.{0,10}$/.test(plain)
    ? 'All circuits fine, thank you. What can I work out for you?'
    : null;
}

const NAME = /^(?:(?:hi|hello|hey),? )?(?:my name is|my name's|call me) (\p{L}[\p{L}'. -]{0,39})$/iu;

function names({ plain, line }: { plain: string; line: string }, { history }: Question): string | null {
  const told = NAME.exec(line);
  if (told !== null) return `Nice to meet you, ${told[1]}. Ask me "what's my name?" later.`;
  if (!/^(?:(?:what is|what's|whats) my name|who am i|do you (?:know|remember) my name)$/.test(plain)) return null;
  const lines = history.filter(({ role }) => role === 'user').flatMap(({ content }) => content.split('\n'));
  const name = lines
    .map((one) => NAME.exec(one.trim().replace(/[?.!]+$/, ''))?.[1])
    .findLast((found) => found !== undefined);
  return name === undefined
    ? 'You have not told me yet. Text "my name is ..." and I will remember.'
    : `Your name is ${name}.`;
}

function memory({ plain }: { plain: string }, { history }: Question): string | null {
  const match = /^what (?:did|was) (i|you|my|your)\b ?(?:just |last |first )*(say|said|text|ask|message)\w*(.*)$/.exec(
    plain,
  );
  if (match === null) return null;
  const theirs = match[1] === 'i' || match[1] === 'my';
  const said = history
    .filter(({ role }) => role === (theirs ? 'user' : 'assistant'))
    .map(({ content }) => content.replaceAll('\n', ' / '));
  const quoted = /\bfirst\b/.test(plain) ? said[0] : said.at(-1);
  if (quoted === undefined)
    return theirs ? 'This is your first text, as far as I can see.' : 'I have not said anything yet.';
  return `${theirs ? 'You' : 'I'} said: "${clip(toGsm(quoted), 200)}"`;
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const AMOUNTS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];
const SPAN = String.raw`(\d{1,6}(?:\.\d{1,3})?|half an?|an?|${AMOUNTS.join('|')}) ?(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)`;
const REMIND = [
  new RegExp(`^(?:please )?remind me in (?<span>${SPAN})(?:,? (?:to |that |about |of )?(?<what>.+))?$`, 'i'),
  new RegExp(`^(?:please )?remind me (?:to |that |about |of )?(?<what>.+) in (?<span>${SPAN})$`, 'i'),
];

function setReminder({ plain, line }: { plain: string; line: string }, { reminders }: Question): Said | string | null {
  if (!/^(?:please )?remind me\b/.test(plain)) return null;
  const groups = REMIND.map((pattern) => pattern.exec(line)?.groups).find((found) => found !== undefined);
  if (groups === undefined) return 'I can only count time: try "remind me in 20 minutes to call home".';
  const span = groups.span!;
  const [, amount, unit] = new RegExp(`^${SPAN}$`, 'i').exec(span)!;
  const inMs = Math.round(amountOf(amount!.toLowerCase()) * UNIT_MS[unit![0]!.toLowerCase()]!);
  if (inMs < 1000 || inMs > MAX_REMINDER_MS)
    return 'I can remind you in one second at the soonest and in 7 days at the latest.';
  if (reminders.length >= MAX_REMINDERS)
    return `I keep ${MAX_REMINDERS} reminders at most. Text "cancel reminders" to drop them all.`;
  const what = groups.what?.trim();
  const text = clip(toGsm(what ?? 'this is the reminder you asked for'), 140);
  return {
    text: `OK, I'll text you in ${span.toLowerCase()}${what === undefined ? '' : `: ${text}`}.`,
    remind: { text, inMs },
  };
}

function amountOf(text: string): number {
  if (text.startsWith('half')) return 0.5;
  if (/^an?$/.test(text)) return 1;
  return AMOUNTS.includes(text) ? AMOUNTS.indexOf(text) : Number(text);
}

function manageReminders({ plain }: { plain: string }, { reminders, now }: Question): Said | string | null {
  if (/^(?:cancel|delete|forget|drop|clear) (?:all )?(?:of )?(?:my |the )?reminders?$/.test(plain)) {
    return reminders.length === 0
      ? 'You have no reminders.'
      : { text: 'Done, all your reminders are gone.', forget: true };
  }
  if (!/^(?:(?:list|show|what are|what're)(?: me)? )?(?:all )?(?:my |the )?reminders$/.test(plain)) return null;
  if (reminders.length === 0) return 'You have no reminders. Try "remind me in 10 minutes to stretch".';
  const lines = reminders.map(({ text, dueMs }) => `- ${clip(text, 40)} (in ${spanOf(dueMs - now.getTime())})`);
  return ['Your reminders:', ...lines].join('\n');
}

function spanOf(ms: number): string {
  for (const [unit, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
  ] as const) {
    if (ms >= size) return `${Math.round(ms / size)} ${unit}`;
  }
  return `${Math.max(0, Math.round(ms / 1000))} s`;
}

const CLOCK =
  /^(?:what(?:'s| is)?|whats|tell me)? ?(?:the )?(?:current |local )?(time|date|day)(?: is it| is it right now)?(?: right now| now| today)?(?: (in|at|for) (.+))?$/;

function clock({ plain }: { plain: string }, { now }: Question): string | null {
  const match = CLOCK.exec(plain) ?? /^(?<place>.+) (time)$/.exec(plain);
  if (match === null) return null;
  const place = match.groups?.place ?? match[3]?.replace(/ (?:right )?now$/, '');
  if (place === undefined) return `${timeIn('UTC', 'UTC', now)} Add a city for its time: "time in Paris".`;
  const zone = zoneOf(place);
  if (zone !== null) return timeIn(place, zone, now);
  // "… time" without a known place is any sentence; only "time in …" surely asks for one.
  return match.groups?.place === undefined
    ? `I do not know where "${clip(toGsm(place), 40)}" is. Try a big city near it.`
    : null;
}

function conversion({ plain }: { plain: string }): string | null {
  return convert(plain);
}

function sum({ plain }: { plain: string }): string | null {
  const asked = plain
    .replace(/^(?:what is|what's|whats|how much is|calculate|calc|compute|work out|solve)\s+/, '')
    .trim();
  const result = calculate(asked);
  if (result === null) return null;
  return result.kind === 'trouble' ? result.text : `${clip(toGsm(asked), 80)} = ${formatNumber(result.value, 10)}`;
}
