// The promise as a function: a history and the rows behind it → where it was broken. Pure, so that checker.test.ts can show
// that each violation is seen.
import { LONGEST_HOLD_MS } from '../../src/bridge/outbound.ts';
import type { Accepted, AgentCall, AgentPost, History, SentText } from './history.ts';
import { wordsIn } from './history.ts';
import { withoutLateRequests } from './late-requests.ts';
import type { Rows } from './rows.ts';

export type Rule = 'lost' | 'doubled' | 'reordered' | 'after stop' | 'ledger' | 'unfinished';
export const RULES: readonly Rule[] = ['lost', 'doubled', 'reordered', 'after stop', 'ledger', 'unfinished'];

export type Violation = {
  readonly rule: Rule;
  /** The phone of whom it happened to; null when that is not known. */
  readonly person: string | null;
  readonly what: string;
};

type Part = Rows['parts'][number];
type Turn = Rows['turns'][number];
type Row = Rows['messages'][number];
type Tries = ReadonlyMap<string, Rows['tries']>;

/** One person's side of the run. */
type Story = {
  readonly person: string;
  readonly texts: readonly SentText[];
  readonly calls: readonly AgentCall[];
  readonly posts: readonly AgentPost[];
  readonly accepted: readonly Accepted[];
  readonly rows: readonly Row[];
  readonly turns: readonly Turn[];
  readonly parts: readonly Part[];
  readonly doneSeq: number;
};

/** States in which the carrier has a part. */
const CARRIED = new Set(['accepted', 'sent', 'delivered', 'read', 'undelivered']);
/** States in which something has still to happen to a part. */
const OPEN = new Set(['queued', 'sending', 'unknown']);

export function check(seen: History, rows: Rows): Violation[] {
  const history = withoutLateRequests(seen, rows);
  const partsById = new Map(rows.parts.map((part) => [part.id, part]));
  const tries = Map.groupBy(rows.tries, (one) => one.part_id);
  return [
    ...storiesOf(history, rows).flatMap((story) => [
      ...lost(story),
      ...doubled(story, partsById),
      ...reordered(story, partsById),
      ...afterStop(story, partsById, tries),
      ...ownTexts(story),
    ]),
    ...ledger(history, rows, partsById),
    ...unfinished(rows),
  ];
}

function storiesOf(history: History, rows: Rows): Story[] {
  const person = new Map(rows.conversations.map((row) => [row.id, row.their_address]));
  const whose = (row: { conversation_id: string }) => person.get(row.conversation_id) ?? '';
  const texts = Map.groupBy(history.texts, (text) => text.from);
  const author = new Map(history.texts.map((text) => [text.body, text.from]));
  const calls = Map.groupBy(history.calls, (call) => author.get(call.words[0] ?? '') ?? '');
  const posts = Map.groupBy(history.posts, (post) => person.get(post.conversationId) ?? '');
  const accepted = Map.groupBy(history.accepted, (message) => message.to);
  const messages = Map.groupBy(rows.messages, whose);
  const turns = Map.groupBy(rows.turns, whose);
  const parts = Map.groupBy(rows.parts, whose);
  const doneSeq = new Map(rows.conversations.map((row) => [row.their_address, row.done_seq]));
  return [...texts].map(([phone, sent]) => ({
    person: phone,
    texts: sent,
    calls: calls.get(phone) ?? [],
    posts: posts.get(phone) ?? [],
    accepted: accepted.get(phone) ?? [],
    rows: messages.get(phone) ?? [],
    turns: turns.get(phone) ?? [],
    parts: parts.get(phone) ?? [],
    doneSeq: doneSeq.get(phone) ?? 0,
  }));
}

/** Every text that was answered 200 has an end that its person could see, or that they brought about. */
function lost(story: Story): Violation[] {
  return story.texts
    .filter((text) => text.ackedAtMs !== null)
    .flatMap((text) => {
      const row = story.rows.find((stored) => stored.provider_id === text.sid);
      const what = row ? fateOf(text, row, story) : 'was acknowledged and is not stored';
      return what === null ? [] : [{ rule: 'lost' as const, person: story.person, what: `${text.body}: ${what}` }];
    });
}

/** Why a stored text counts as lost; null when it does not. */
function fateOf(text: SentText, row: Row, story: Story): string | null {
  if (row.kind === 'keyword') return text.kind === 'text' ? 'was taken for a keyword' : null;
  if (text.kind !== 'text') return 'is a keyword and was taken for a text';
  if (row.refused !== null) return mayBeRefused(text, story) ? null : `was refused (${row.refused}) without a STOP`;
  const seq = row.seq;
  if (seq === null) return 'has no number in the mailbox';
  const ended = story.turns.filter(
    (turn) => turn.from_seq <= seq && seq <= turn.to_seq && ['replied', 'fell_back'].includes(turn.state),
  );
  const [turn] = ended;
  if (turn) return replyOf(text, turn, story);
  const isOver = seq <= story.doneSeq && (wasStopped(row, seq, story) || wasStoppedLater(text, row, seq, story));
  return isOver ? null : 'has no turn that ended';
}

/** The agent had put it off (202), so that later texts were asked before it, and a STOP came before its answer. */
function wasStoppedLater(text: SentText, row: Row, seq: number, story: Story): boolean {
  return (
    story.posts.some((post) => post.answers.includes(text.body)) &&
    story.rows.some((other) => other.id > row.id && isStop(other, story)) &&
    story.turns.some((turn) => turn.from_seq <= seq && seq <= turn.to_seq && turn.state === 'cancelled')
  );
}

/** A STOP came while the text waited. What later texts were asked before it shows that the text had been passed over. */
function wasStopped(row: Row, seq: number, story: Story): boolean {
  const stop = story.rows.find((other) => other.id > row.id && isStop(other, story));
  return stop !== undefined && !story.turns.some((turn) => turn.from_seq > seq && turn.id < stop.id);
}

/** What is missing of the reply of a turn; null for nothing. */
function replyOf(text: SentText, turn: Turn, story: Story): string | null {
  const reply = story.rows.find((row) => row.id === turn.reply_id);
  if (!reply) {
    const told = story.rows.some((row) => row.kind === 'fallback' && row.id < turn.id);
    return turn.state === 'fell_back' && told ? null : `its turn ${turn.state} without a message`;
  }
  if (turn.state === 'replied' && !wordsIn(reply.body).includes(text.body)) return 'was answered with another answer';
  const parts = story.parts.filter((part) => part.message_id === reply.id);
  if (parts.length === 0) return 'its reply has no parts';
  const missing = missingOf(parts, story);
  return missing ? `part ${missing.position} of its reply ended ${missing.state} (${missing.error_code})` : null;
}

/** A part that ended without reaching the carrier, for no good reason. What is still open is the rule about unfinished work. */
function missingOf(parts: readonly Part[], story: Story): Part | undefined {
  return parts.find((part) => !CARRIED.has(part.state) && !OPEN.has(part.state) && !mayNotLeave(part, story));
}

/** A text of an agent's own is stored and sent once when its agent was told so, and not at all when it was refused. */
function ownTexts(story: Story): Violation[] {
  return story.posts
    .filter((post) => post.answers.length === 0)
    .flatMap((post): Violation[] => {
      const made = (rule: Rule, what: string) => [{ rule, person: story.person, what: `${head(post.text)}: ${what}` }];
      const stored = story.rows.filter((row) => row.kind === 'proactive' && row.body === post.text);
      if (stored.length > 1) return made('doubled', 'the post is stored twice');
      if (post.end === 'refused' && stored.length > 0) return made('ledger', 'the post was refused and is stored');
      if (post.end !== 'taken') return [];
      const [row] = stored;
      if (row === undefined) return made('lost', 'the post was taken and is not stored');
      const parts = story.parts.filter((part) => part.message_id === row.id);
      const missing = missingOf(parts, story);
      return parts.length === 0 || missing ? made('lost', `a part of the post ended ${missing?.state}`) : [];
    });
}

/** A part that never left for a reason: its person stopped, or the carrier took it and failed, or the one before it failed. */
function mayNotLeave(part: Part, story: Story): boolean {
  if (part.state === 'failed') return part.provider_id !== null || part.error_code === '21610';
  if (part.error_code === 'opted_out') return story.texts.some((text) => text.kind === 'stop');
  return part.error_code === 'earlier_part_failed';
}

function isStop(row: Row, story: Story): boolean {
  return row.kind === 'keyword' && story.texts.some((text) => text.kind === 'stop' && text.sid === row.provider_id);
}

/** A text that came while its person was opted out, or may have been. */
function mayBeRefused(text: SentText, { texts }: Story): boolean {
  const before = texts.slice(0, texts.indexOf(text));
  return before.findLast((other) => other.kind === 'stop' || other.kind === 'start')?.kind === 'stop';
}

/** One row for each text, one end for each row, one message for each part, one answer for each word. */
function doubled(story: Story, parts: ReadonlyMap<string, Part>): Violation[] {
  const replies = story.accepted.filter((message) => parts.get(message.partId ?? '')?.kind === 'reply');
  const ends = story.turns.filter((turn) => ['replied', 'fell_back'].includes(turn.state));
  const numbers = ends.flatMap((turn) =>
    Array.from({ length: turn.to_seq - turn.from_seq + 1 }, (_, n) => turn.from_seq + n),
  );
  // Each part of a long reply may repeat what it answers, so words are counted once a message of ours.
  const messages = Map.groupBy(replies, (reply) => parts.get(reply.partId ?? '')?.message_id);
  const answered = [...messages.values()].flatMap((all) => [...new Set(all.flatMap(({ body }) => wordsIn(body)))]);
  const incoming = story.rows.flatMap((row) => (row.direction === 'in' ? [row.provider_id] : []));
  return [
    ...repeated(incoming).map((sid) => `the text ${sid} is stored twice`),
    ...repeated(numbers).map((seq) => `text number ${seq} was answered by two turns`),
    ...repeated(story.accepted.map((message) => message.partId)).map((id) => `part ${id} was sent twice`),
    ...repeated(replies.map((message) => message.body)).map((body) => `the same words were sent twice: ${head(body)}`),
    ...repeated(answered).map((word) => `${word} was answered twice`),
  ].map((what) => ({ rule: 'doubled', person: story.person, what }));
}

function wasReplied(row: Row | undefined, { turns }: Story): boolean {
  const seq = row?.seq ?? Number.NaN;
  return turns.some((turn) => turn.state === 'replied' && turn.from_seq <= seq && seq <= turn.to_seq);
}

/** Agents are shown texts in order and without gaps; answers leave in order. */
function reordered(story: Story, parts: ReadonlyMap<string, Part>): Violation[] {
  const taken = story.rows.filter((row) => row.seq !== null).sort((a, b) => a.seq! - b.seq!);
  const place = new Map(taken.map((row, index) => [row.body, index]));
  const sentPlaces = story.texts.flatMap((text) => place.get(text.body) ?? []);
  const isRun = (places: readonly number[]) => places.every((at, n) => n === 0 || at === places[n - 1]! + 1);
  const problems: string[] = [];
  if (!isRun(sentPlaces)) problems.push('texts were not numbered in the order in which they were sent');
  const seen = new Set<number>();
  for (const call of story.calls) {
    const places = call.words.map((word) => place.get(word) ?? Number.NaN);
    if (!isRun(places)) problems.push(`${call.agent} was shown ${call.words.join(' ')}`);
    // A call may be made again after a crash; what is seen for the first time must not come before what lies before it. A
    // request that a stalled wire delivers when its turn has been given up long since is nobody's question any more.
    const fresh = places.find((at) => !seen.has(at) && wasReplied(taken[at], story));
    if (fresh !== undefined && seen.size > 0 && fresh < Math.max(...seen))
      problems.push(`${call.agent} was shown ${call.words.join(' ')} after later texts`);
    for (const at of places) seen.add(at);
  }
  // An agent that said 202 answers when it can; the conversation has gone on meanwhile.
  const late = new Set(story.posts.filter(({ end }) => end === 'taken').flatMap((post) => post.answers));
  const replies = story.accepted
    .filter((message) => parts.get(message.partId ?? '')?.kind === 'reply')
    .filter(({ body }) => !wordsIn(body).some((word) => late.has(word)));
  const answers = replies.flatMap(({ body }) => wordsIn(body).map((word) => place.get(word) ?? Number.NaN));
  if (answers.some((at, n) => n > 0 && !(at >= answers[n - 1]!)))
    problems.push(`answers left as ${replies.map(({ body }) => wordsIn(body).join(' ')).join(' | ')}`);
  // A notice answers a keyword and may overtake; answers and what agents say by themselves pass each other.
  const left = story.accepted.flatMap(({ partId }) => parts.get(partId ?? '') ?? []);
  const isOwn = ({ kind }: Part) => kind === 'proactive';
  const answered = left.filter((part) => part.kind !== 'notice' && !isOwn(part));
  for (const line of [answered, left.filter(isOwn)]) {
    const positions = line.map(({ position }) => position);
    if (positions.some((at, n) => n > 0 && at < positions[n - 1]!))
      problems.push(`parts left as ${positions.join(' ')}`);
  }
  return problems.map((what) => ({ rule: 'reordered', person: story.person, what }));
}

/**
 * From the 200 to a STOP until a START is posted, the carrier takes nothing from us for this person but notices. What a worker
 * had claimed before may still be on the wire: that is counted, see `leftAfterStop`. A claim holds for eight seconds at most, so
 * a request that was begun later than that after the 200, by what its worker wrote down, must not have left either.
 */
function afterStop(story: Story, parts: ReadonlyMap<string, Part>, tries: Tries): Violation[] {
  return takenAfterStop(story, parts, tries)
    .filter(({ isForbidden }) => isForbidden)
    .map(({ message, stop }) => ({
      rule: 'after stop' as const,
      person: story.person,
      what: `${message.atMs - stop.ackedAtMs!} ms after the 200 to ${stop.body} the carrier took: ${head(message.body)}`,
    }));
}

/** Messages that the carrier took after the 200 to a STOP without a violation: they were on the wire already. */
export function leftAfterStop(history: History, rows: Rows): number {
  const parts = new Map(rows.parts.map((part) => [part.id, part]));
  const tries = Map.groupBy(rows.tries, (one) => one.part_id);
  const taken = storiesOf(history, rows).flatMap((story) => takenAfterStop(story, parts, tries));
  return taken.filter(({ isForbidden }) => !isForbidden).length;
}

function takenAfterStop({ texts, accepted }: Story, parts: ReadonlyMap<string, Part>, tries: Tries) {
  const consents = texts.filter((text) => text.kind === 'stop' || text.kind === 'start');
  return consents.flatMap((stop, n) => {
    const { ackedAtMs } = stop;
    if (stop.kind !== 'stop' || ackedAtMs === null) return [];
    const until = consents.slice(n + 1).find((text) => text.kind === 'start')?.postedAtMs ?? Number.POSITIVE_INFINITY;
    return accepted
      .filter((message) => message.atMs > ackedAtMs && message.atMs < until)
      .flatMap((message) => {
        const part = parts.get(message.partId ?? '');
        const claimedAtMs = part?.sending_at?.getTime() ?? Number.POSITIVE_INFINITY;
        const begunAt = tries
          .get(part?.id ?? '')
          ?.findLast((one) => one.started_at.getTime() <= message.atMs)?.started_at;
        const isForbidden = claimedAtMs >= ackedAtMs || (begunAt?.getTime() ?? 0) > ackedAtMs + LONGEST_HOLD_MS;
        return part?.kind === 'notice' ? [] : [{ message, stop, isForbidden }];
      });
  });
}

/** What the rows say was sent is what the carrier took, one to one. */
function ledger(history: History, rows: Rows, parts: ReadonlyMap<string, Part>): Violation[] {
  const person = new Map(rows.conversations.map((row) => [row.id, row.their_address]));
  const taken = new Map(history.accepted.map((message) => [message.sid, message]));
  const sent = history.accepted.flatMap((message): Violation[] => {
    const part = parts.get(message.partId ?? '');
    const wrong = (what: string): Violation[] => [
      { rule: 'ledger', person: message.to, what: `${message.sid} of part ${message.partId}: ${what}` },
    ];
    if (!part) return wrong('there is no such part');
    if (part.provider_id !== message.sid) return wrong(`the part is ${part.state} with ${part.provider_id}`);
    if (part.body !== message.body) return wrong('the part says something else');
    if (person.get(part.conversation_id) !== message.to) return wrong('it went to somebody else');
    return part.state === 'void' ? wrong('the part is void') : [];
  });
  const booked = rows.parts
    .filter((part) => CARRIED.has(part.state) || part.provider_id !== null)
    .filter((part) => !taken.has(part.provider_id ?? ''))
    .map(
      (part): Violation => ({
        rule: 'ledger',
        person: person.get(part.conversation_id) ?? null,
        what: `part ${part.id} is ${part.state} with ${part.provider_id}, which the carrier never took`,
      }),
    );
  return [...sent, ...booked];
}

/** Nothing is left that waits, runs, or nobody knows the end of. */
function unfinished(rows: Rows): Violation[] {
  const person = new Map(rows.conversations.map((row) => [row.id, row.their_address]));
  const of = (row: { conversation_id: string }) => person.get(row.conversation_id) ?? null;
  const made = (whose: string | null, what: string): Violation => ({ rule: 'unfinished', person: whose, what });
  return [
    ...rows.conversations
      .filter((row) => row.last_seq > row.done_seq || row.running_turn !== null)
      .map((row) => made(row.their_address, `texts ${row.done_seq + 1} to ${row.last_seq} still wait`)),
    ...rows.turns
      .filter((turn) => turn.state === 'running' || turn.state === 'deferred')
      .map((turn) => made(of(turn), `turn ${turn.id} is still ${turn.state}`)),
    ...rows.parts
      .filter((part) => OPEN.has(part.state))
      .map((part) => made(of(part), `part ${part.id} is still ${part.state}`)),
    ...rows.jobs.map((job) => made(null, `a job ${job.task} ${job.key ?? ''} is left: ${job.state}`)),
  ];
}

function repeated<T>(values: readonly T[]): T[] {
  const seen = new Set<T>();
  return [...new Set(values.filter((value) => seen.size === seen.add(value).size))];
}

const head = (text: string) => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

/** The smallest part of the history that shows a violation: everything that person said, heard and was answered. */
export function excerpt(person: string, history: History, rows: Rows): string[] {
  const story = storiesOf(history, rows).find((one) => one.person === person);
  if (!story) return [];
  const parts = new Map(story.parts.map((part) => [part.id, part]));
  const lines = [
    ...story.texts.map(({ postedAtMs, ackedAtMs, body, sid, posts }) => ({
      at: postedAtMs,
      line: `says ${body} (${sid}, ${posts} posts, 200 ${ackedAtMs === null ? 'never' : `after ${ackedAtMs - postedAtMs} ms`})`,
    })),
    ...story.calls.map(({ atMs, agent, words, messageId, end }) => ({
      at: atMs,
      line: `${agent} is shown ${words.join(' ')} (${messageId}), ${end}`,
    })),
    ...story.posts.map(({ atMs, agent, text, end }) => ({ at: atMs, line: `${agent} posts ${head(text)}: ${end}` })),
    ...story.accepted.map(({ atMs, sid, partId, body }) => {
      const part = parts.get(partId ?? '');
      return {
        at: atMs,
        line: `the carrier takes ${sid}, part ${part?.position} ${partId} (${part?.kind}): ${head(body)}`,
      };
    }),
  ].sort((a, b) => a.at - b.at);
  const start = lines[0]?.at ?? 0;
  return [
    ...lines.map(({ at, line }) => `${String(at - start).padStart(8)} ms  ${line}`),
    ...story.turns.map(({ id, from_seq, to_seq, state }) => `   turn ${id}: ${from_seq} to ${to_seq} ${state}`),
    ...story.parts.map(
      ({ id, position, kind, state, provider_id, error_code }) =>
        `   part ${position} ${id}: ${kind} ${state} ${provider_id ?? ''} ${error_code ?? ''}`,
    ),
  ];
}
