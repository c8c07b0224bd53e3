// An agent that exists already, made with whatever library, behind a phone number. quiz.ts stands for yours.
import { serveAgent } from '@darkspere/agent';
import { createQuiz } from './quiz.ts';

const quiz = createQuiz();

await serveAgent({
  name: 'quiz',
  description: 'Asks three questions and counts.',
  async *chat({ message, sessionId, history, signal }) {
    // A new session is a new thread, also where this process has forgotten the old one.
    if (history.length === 0) quiz.forget(sessionId);
    for await (const event of quiz.stream({ thread: sessionId, input: message, signal })) {
      // Libraries tell more than a person wants to read: calls of tools, thoughts, usage.
      if (event.type === 'text') yield event.text;
    }
  },
});
