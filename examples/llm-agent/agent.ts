// A model behind any OpenAI-compatible endpoint: OpenAI, Ollama, vLLM, llama.cpp, a gateway.
import { AgentError, type ChatRequest, serveAgent } from '@darkspere/agent';

const { OPENAI_BASE_URL = 'https://api.openai.com/v1', OPENAI_API_KEY, OPENAI_MODEL } = process.env;
if (!OPENAI_MODEL) throw new Error('OPENAI_MODEL is not set: the name of the model to ask.');

const INSTRUCTIONS =
  'You answer text messages. Be brief and friendly, in the language of the person. No Markdown, no emoji. ' +
  'If you do not know something, say so.';

await serveAgent({ name: 'llm', description: 'A model that answers texts.', chat });

async function chat({ message, history, replyBudget, signal }: ChatRequest): Promise<string> {
  const budget = `At most ${replyBudget.maxCharacters} characters.`;
  const response = await fetch(`${OPENAI_BASE_URL.replace(/\/+$/, '')}/chat/completions`, {
    method: 'POST',
    signal,
    headers: {
      'content-type': 'application/json',
      ...(OPENAI_API_KEY ? { authorization: `Bearer ${OPENAI_API_KEY}` } : {}),
    },
    body: JSON.stringify({
      model: OPENAI_MODEL,
      messages: [
        { role: 'system', content: `${INSTRUCTIONS} ${budget}` },
        ...history.map(({ role, content }) => ({ role, content })),
        { role: 'user', content: message },
      ],
    }),
  });
  if (!response.ok) {
    // A busy endpoint may be free in a moment; a wrong key or model stays wrong.
    const retryable = response.status === 429 || response.status >= 500;
    throw new AgentError(`model_http_${response.status}`, `The model's endpoint answered ${response.status}.`, {
      retryable,
    });
  }
  const { choices } = (await response.json()) as { choices?: { message?: { content?: unknown } }[] };
  const text = choices?.[0]?.message?.content;
  if (typeof text !== 'string') throw new AgentError('model_silent', 'The answer of the model has no text.');
  // Models that think aloud do it before they answer.
  return text.replace(/^\s*<think>[\s\S]*?<\/think>/, '').trim();
}
