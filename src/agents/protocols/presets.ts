// Agents that many people have, by name: the settings that they need. What is registered beside a preset wins over it.
import type { Protocol } from '../agent.ts';

type Metadata = Readonly<Record<string, unknown>>;

export type Preset = {
  readonly protocol: Protocol;
  /** Settings that have to be registered with it. */
  readonly needs: readonly string[];
  readonly settings: (metadata: Metadata) => Metadata;
};

export const PRESETS: Readonly<Record<string, Preset>> = {
  // https://docs.n8n.io: the Chat Trigger takes what its own chat window sends.
  'n8n-chat': {
    protocol: 'webhook',
    needs: [],
    settings: () => ({
      body: { action: 'sendMessage', sessionId: '{{conversationId}}', chatInput: '{{text}}' },
      reply: ['output', 'text'],
    }),
  },
  // A Webhook node answers what its workflow says. `message` is left out of the paths: "Workflow was started" is under it.
  'n8n-webhook': {
    protocol: 'webhook',
    needs: [],
    settings: () => ({
      body: {
        message: '{{text}}',
        session_id: '{{conversationId}}',
        message_id: '{{messageId}}',
        conversation_history: '{{history}}',
        media: '{{media}}',
      },
      reply: ['output', 'reply', 'response', 'answer', 'text'],
    }),
  },
  // A stateless run with the whole conversation: the truth about it is here.
  langgraph: {
    protocol: 'webhook',
    needs: ['assistant_id'],
    settings: ({ assistant_id }) => ({
      path: '/runs/wait',
      body: { assistant_id, input: { messages: '{{messages}}' } },
      reply: 'messages.-1.content',
      api_key_header: 'x-api-key',
    }),
  },
};
