// An agent as libraries have it: threads that it remembers by name, and runs that tell what happens as it happens.

export type QuizEvent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'tool'; readonly name: string; readonly result: string };
export type Run = { readonly thread: string; readonly input: string; readonly signal: AbortSignal };

const QUESTIONS = [
  { question: 'How many legs has a spider?', answer: /\b(8|eight)\b/i },
  { question: 'Which planet is the largest?', answer: /jupiter/i },
  { question: 'Who wrote "Faust"?', answer: /goethe/i },
];
const MOST_THREADS = 10_000;

type Thread = { readonly asked: number; readonly right: number };

export function createQuiz() {
  const threads = new Map<string, Thread>();

  return {
    forget(thread: string): void {
      threads.delete(thread);
    },
    async *stream({ thread, input, signal }: Run): AsyncGenerator<QuizEvent> {
      signal.throwIfAborted();
      const before = threads.get(thread);
      const last = before && QUESTIONS[before.asked - 1];
      const isRight = last?.answer.test(input) === true;
      if (last) yield { type: 'tool', name: 'grade', result: String(isRight) };
      if (last) yield { type: 'text', text: isRight ? 'Right! ' : 'No. ' };
      const now = { asked: (before?.asked ?? 0) + 1, right: (before?.right ?? 0) + (isRight ? 1 : 0) };
      const next = QUESTIONS[now.asked - 1];
      threads.delete(thread);
      if (next) threads.set(thread, now);
      if (threads.size > MOST_THREADS) threads.delete(threads.keys().next().value ?? '');
      yield { type: 'text', text: next?.question ?? `That was it: ${now.right} of ${QUESTIONS.length}.` };
    },
  };
}
