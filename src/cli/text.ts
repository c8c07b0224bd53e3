// `darkspere text`: plays the person's phone against the simulator.
import { createInterface } from 'node:readline';
import { FAULT_NAMES } from '../channels/simulator/fault-request.ts';
import { messageOf } from '../errors.ts';
import { type Look, render } from './conversation.ts';
import { jsonLine } from './output.ts';
import { openPhoneLine, type PhoneEvent, type PhoneLine } from './phone-line.ts';
import { type Outcome, type ReplyWatch, watchForReply } from './reply-watch.ts';

type Output = NodeJS.WritableStream & { isTTY?: boolean; columns?: number; hasColors?: () => boolean };

export type TextOptions = {
  /** The text to send; without it the phone is interactive. */
  readonly message?: string;
  /** The person's number. */
  readonly from: string;
  /** Our number; the simulator's first one when absent. */
  readonly to?: string;
  readonly simulatorUrl: string;
  /** One JSON event per line instead of a conversation. */
  readonly json: boolean;
  /** How long to wait for a reply, default 60 s. */
  readonly waitMs?: number;
  /** How long no further part may come for a reply to be complete, default 1.5 s. */
  readonly settleMs?: number;
  readonly stdout: Output;
  readonly stderr: NodeJS.WritableStream;
  readonly stdin?: NodeJS.ReadableStream & { isTTY?: boolean };
};

const WAIT_MS = 60_000;
const SETTLE_MS = 1500;

const HELP = `Each line is a text. Commands:
  /stop          text STOP, as a person who wants no more texts
  /fault <name>  the next one goes wrong; without a name: what there is
  /help          this
  /quit          leave (Ctrl-C too)`;

/** Short for the usual ones. */
const SHORT: ReadonlyMap<string, Record<string, unknown>> = new Map<string, Record<string, unknown>>([
  ['duplicate', { duplicate_webhooks: 1 }],
  ['callbacks', { duplicate_callbacks: 1 }],
  ['missing', { missing_callbacks: 1 }],
  ['429', { http_429: 1 }],
  ['500', { http_500_before_accept: 1 }],
  ['500-after', { http_500_after_accept: 1 }],
  ['spam', { fail_with: { code: 30007, count: 1 } }],
]);
/** Faults that say an error code of the carrier. */
const WITH_CODE = ['fail_with', 'refuse_with'];
/** It is no text or message that this one happens to. */
const NOBODY_LISTENS = 'refuse_connections';
const NOBODY_LISTENS_MS = 5_000;
const FAULTS = `Faults: ${[...SHORT.keys()].join(', ')}
or as the simulator names them: ${FAULT_NAMES.map((name) => (WITH_CODE.includes(name) ? `${name} <code>` : name)).join(', ')}`;

type Session = {
  readonly options: TextOptions;
  readonly line: PhoneLine;
  /** Starts to watch for the reply to what is sent next. */
  expectReply(): ReplyWatch;
  /** Called before and after something is printed in between; interactive prompts step aside. */
  onPrint: { before: () => void; after: () => void };
  /** Settles when the simulator goes away. */
  readonly lost: Promise<void>;
  close(): void;
};

function lookOf(stdout: Output): Look {
  const isTerminal = stdout.isTTY === true;
  // hasColors() of a terminal stream knows NO_COLOR and what the terminal can do.
  return { bubbles: isTerminal, color: isTerminal && stdout.hasColors?.() === true, columns: stdout.columns || 80 };
}

async function openSession(options: TextOptions): Promise<Session> {
  const { stdout, from, json, simulatorUrl } = options;
  const look = lookOf(stdout);
  const onPrint = { before: () => {}, after: () => {} };
  const lost = Promise.withResolvers<void>();
  let watch: ReplyWatch | null = null;
  const show = (event: PhoneEvent): void => {
    const shown = json ? jsonLine(event) : render(event, from, look);
    if (shown !== null) {
      onPrint.before();
      stdout.write(`${shown}\n`);
      onPrint.after();
    }
    watch?.see(event);
  };
  const onLost = (): void => {
    watch?.lose();
    lost.resolve();
  };
  const line = await openPhoneLine({ simulatorUrl, phone: from, onEvent: show, onLost });
  return {
    options,
    line,
    onPrint,
    lost: lost.promise,
    expectReply() {
      // A watch that nobody waits for any more must not keep the program alive; nor may the last one, in close.
      watch?.lose();
      watch = watchForReply(from, options.waitMs ?? WAIT_MS, options.settleMs ?? SETTLE_MS);
      return watch;
    },
    close() {
      watch?.lose();
      line.close();
    },
  };
}

/** What the outcome means to a script: the exit code, and the sentence for everything but an answer. */
function conclude(outcome: Outcome, { stderr, waitMs = WAIT_MS }: TextOptions): number {
  const say = (sentence: string, code: number): number => {
    stderr.write(`${sentence}\n`);
    return code;
  };
  switch (outcome.kind) {
    case 'answered':
      return 0;
    case 'silent':
      return say(`No reply came within ${waitMs / 1000} s. Darkspere’s log says what became of the text.`, 1);
    case 'undelivered':
      return say('A reply was sent, but it did not reach the phone.', 1);
    case 'refused':
      return say(`Darkspere did not take the text: ${outcome.detail}. A real Twilio would not try again.`, 1);
    case 'lost':
      return say('The simulator went away. Is Darkspere still running? npm start', 2);
  }
}

async function textOnce(session: Session, message: string): Promise<number> {
  const watch = session.expectReply();
  await session.line.text(message, session.options.to);
  return conclude(await watch.outcome, session.options);
}

/** What to ask the simulator for; null for what it does not know. */
function faultPlan(name: string, detail: string): Record<string, unknown> | null {
  const short = SHORT.get(name);
  if (short !== undefined) return short;
  if (WITH_CODE.includes(name)) return /^\d{5}$/.test(detail) ? { [name]: { code: Number(detail), count: 1 } } : null;
  if (name === NOBODY_LISTENS) return { [name]: { for_ms: NOBODY_LISTENS_MS } };
  return FAULT_NAMES.includes(name) ? { [name]: 1 } : null;
}

/** Does one line of the person; returns the watch when it was a text, and `quit` when they leave. */
async function obey(session: Session, input: string): Promise<ReplyWatch | 'quit' | null> {
  const { line, options } = session;
  const [command = '', argument = '', detail = ''] = input.trim().split(/\s+/, 3);
  const note = (text: string): null => {
    options.stderr.write(`${text}\n`);
    return null;
  };
  if (command === '') return null;
  if (command === '/quit') return 'quit';
  if (command === '/help') return note(HELP);
  if (command === '/fault') {
    const plan = faultPlan(argument, detail);
    if (plan === null) return note(FAULTS);
    await line.fault(plan);
    return note(`The next one goes wrong: ${argument}`);
  }
  if (command.startsWith('/') && command !== '/stop') return note('Unknown command; /help lists them.');
  const watch = session.expectReply();
  await line.text(command === '/stop' ? 'STOP' : input, options.to);
  return watch;
}

async function converse(session: Session): Promise<number> {
  const { options, onPrint } = session;
  const { stdin = process.stdin, stdout, stderr } = options;
  const isTerminal = stdin.isTTY === true && stdout.isTTY === true && !options.json;
  const reader = createInterface({
    input: stdin,
    terminal: isTerminal,
    prompt: '> ',
    ...(isTerminal ? { output: stdout } : {}),
  });
  if (isTerminal) {
    onPrint.before = () => stdout.write('\r\u001b[K');
    onPrint.after = () => reader.prompt(true);
    stderr.write('You are holding a phone. Type a text, or /help.\n');
    reader.prompt();
  }
  let interrupted = false;
  let watch: ReplyWatch | null = null;
  reader.on('SIGINT', () => {
    interrupted = true;
    reader.close();
  });
  let lost = false;
  session.lost.then(() => {
    lost = true;
    reader.close();
  });
  for await (const input of reader) {
    const done = await obey(session, input).catch((thrown: unknown) => {
      stderr.write(`${messageOf(thrown)}\n`);
      return null;
    });
    if (done === 'quit') interrupted = true;
    if (interrupted) break;
    if (done !== null && done !== 'quit') watch = done;
    if (isTerminal) reader.prompt();
  }
  reader.close();
  if (lost) return conclude({ kind: 'lost' }, options);
  // At the end of piped input the last text still deserves its reply; a person who leaves a terminal does not wait.
  if (watch === null || interrupted || isTerminal) return 0;
  return conclude(await watch.outcome, options);
}

/**
 * Sends one text and prints the conversation until the reply is complete, or plays the phone interactively. Returns
 * the exit code: 0 answered (or left), 1 no reply or not delivered, 2 the simulator cannot be reached or refused.
 */
export async function textCommand(options: TextOptions): Promise<number> {
  let session: Session | null = null;
  try {
    session = await openSession(options);
    return options.message === undefined ? await converse(session) : await textOnce(session, options.message);
  } catch (thrown) {
    options.stderr.write(`${messageOf(thrown)}\n`);
    return 2;
  } finally {
    session?.close();
  }
}
