import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentError, type ChatHandler, type ChatRequest, type ChatResult, later } from './chat.ts';
import { createChats, type Question } from './chats.ts';

const question = (more: Partial<Question> = {}): Question => ({
  message: 'hi',
  messageId: 'm-1',
  sessionId: 's',
  conversationId: 'c',
  history: [],
  media: [],
  channel: 'sms',
  replyBudget: { maxCharacters: 480, maxSegments: 3 },
  deadline: null,
  isReplay: false,
  protocol: 'envelope',
  ...more,
});
const still = new AbortController().signal;
const never = () => new Promise<never>(() => undefined);
const coded = (code: string) => (error: unknown) => error instanceof AgentError && error.code === code;

/** A handler that counts its runs and ends when it is told. */
function gate() {
  const requests: ChatRequest[] = [];
  const open = Promise.withResolvers<ChatResult>();
  const chat: ChatHandler = (request) => {
    requests.push(request);
    return open.promise;
  };
  return { requests, open, chat };
}

describe('chats', () => {
  it('answer the very same question once, however often it is asked', async () => {
    const { requests, open, chat } = gate();
    const chats = createChats(chat, 10);
    const both = [chats.ask(question(), still), chats.ask(question(), still)];
    open.resolve('hello');
    const expected = { kind: 'reply', reply: { message: 'hello' } };
    assert.deepEqual(await Promise.all(both), [expected, expected]);
    assert.deepEqual(await chats.ask(question(), still), expected);
    assert.equal(requests.length, 1);
    await chats.ask(question({ messageId: 'm-2' }), still);
    await chats.ask(question({ protocol: 'a2a' }), still);
    await chats.ask(question({ messageId: null }), still);
    // The ids of two callers may be the same; their conversations are not.
    await chats.ask(question({ sessionId: 'other' }), still);
    await chats.ask(question({ message: 'hi\nthere' }), still);
    assert.equal(requests.length, 6);
  });

  it('run a question that failed again', async () => {
    let runs = 0;
    const chats = createChats(() => {
      runs += 1;
      if (runs === 1) throw new AgentError('not_now', 'Later.', { retryable: true });
      return 'hello';
    }, 10);
    await assert.rejects(chats.ask(question(), still), coded('not_now'));
    assert.equal((await chats.ask(question(), still)).kind, 'reply');
  });

  it('keep the words of unknown errors to themselves', async () => {
    const chats = createChats(() => {
      throw new Error('secret of the database');
    }, 10);
    await assert.rejects(chats.ask(question(), still), (error: AgentError) => {
      assert.deepEqual([error.code, error.message, error.retryable], ['internal_error', 'The agent failed.', false]);
      return true;
    });
  });

  it('are aborted when the last who waits is gone, not before, and run anew when asked again', async () => {
    const { requests, open, chat } = gate();
    const chats = createChats(chat, 10);
    const [first, second] = [new AbortController(), new AbortController()];
    const asked = [chats.ask(question(), first.signal), chats.ask(question(), second.signal)];
    await Promise.resolve();
    first.abort();
    await assert.rejects(asked[0]!, coded('cancelled'));
    assert.equal(requests[0]!.signal.aborted, false);
    second.abort();
    await assert.rejects(asked[1]!, coded('cancelled'));
    assert.equal(requests[0]!.signal.aborted, true);
    open.resolve('hello');
    assert.equal((await chats.ask(question(), still)).kind, 'reply');
    assert.equal(requests.length, 2);
  });

  it('end at the deadline', async () => {
    const chats = createChats(never, 10);
    await assert.rejects(chats.ask(question({ deadline: new Date() }), still), coded('deadline_exceeded'));
    assert.equal(chats.running, 0);
  });

  it('are no more than the agent can carry', async () => {
    const chats = createChats(never, 2);
    const gone = new AbortController();
    const running = ['a', 'b'].map((messageId) => chats.ask(question({ messageId }), gone.signal));
    assert.equal(chats.load, 1);
    await assert.rejects(chats.ask(question({ messageId: 'c' }), still), coded('busy'));
    gone.abort();
    await Promise.allSettled(running);
    assert.equal(chats.load, 0);
  });

  it('drain: what runs ends, what was promised too, nothing new begins', async () => {
    const { open, chat } = gate();
    const promised = Promise.withResolvers<string>();
    const chats = createChats(chat, 10);
    const asked = chats.ask(question(), still);
    chats.track(promised.promise);
    let isOver = false;
    const drained = chats.drain(60_000).then(() => {
      isOver = true;
    });
    await assert.rejects(chats.ask(question({ messageId: 'new' }), still), coded('draining'));
    open.resolve('hello');
    assert.equal((await asked).kind, 'reply');
    assert.equal(isOver, false);
    promised.resolve('done');
    await drained;
  });

  it('drain no longer than they are given', async () => {
    const chats = createChats(never, 10);
    const asked = assert.rejects(chats.ask(question(), still), coded('draining'));
    await chats.drain(1);
    await asked;
  });

  it('hand over pieces as they come and all of them at the end', async () => {
    const pieces: string[] = [];
    const chats = createChats(
      async function* () {
        yield 'a';
        yield 'b';
      } as ChatHandler,
      10,
    );
    const outcome = await chats.ask(question(), still, (piece) => pieces.push(piece));
    assert.deepEqual([pieces, outcome], [['a', 'b'], { kind: 'reply', reply: { message: 'ab' } }]);
  });

  it('refuse what is no answer, and name what is wrong', async () => {
    const bad: unknown[] = [
      undefined,
      null,
      7,
      '',
      '  \n',
      {},
      { message: 1 },
      { message: '' },
      'x'.repeat(20_001),
      { message: 'a', media: 'x' },
      { message: 'a', media: ['http://a.example/x'] },
      { message: 'a', media: ['javascript:alert(1)'] },
      { message: 'a', media: Array(11).fill('https://a.example/x') },
      later(Promise.resolve('')),
    ];
    for (const value of bad) {
      const chats = createChats((() => value) as ChatHandler, 10);
      const answered = chats
        .ask(question(), still)
        .then((outcome) => (outcome.kind === 'later' ? outcome.answer : outcome.reply));
      await assert.rejects(answered, coded('bad_reply'), JSON.stringify(value));
    }
  });
});
