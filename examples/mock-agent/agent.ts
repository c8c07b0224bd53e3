// An agent without a model: the same answer to the same text, for tests and for a first try.
import { AgentError, serveAgent } from '@darkspere/agent';

await serveAgent({
  name: 'mock',
  description: 'Answers with what it was told, for tests.',
  chat({ message, history, media, signal }) {
    const text = message.trim().toLowerCase();
    if (text === 'fail') throw new AgentError('told_to_fail', 'The text asked for it.');
    if (text === 'slow') return after(5_000, 'Here I am.', signal);
    if (text === 'bye') return { message: 'Bye. The next text begins anew.', endSession: true };
    if (media.length > 0) return `A picture (${media[0]?.contentType ?? 'of some kind'}).`;
    return `You said: ${message}${history.length === 0 ? '' : ` (after ${history.length} messages)`}`;
  },
});

/** Resolves with the text after a while; rejects when nobody waits for it any more. */
function after(ms: number, text: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, text);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
