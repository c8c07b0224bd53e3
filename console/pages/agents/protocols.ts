// What agents speak, in words, and what each of them has to be told to be registered.
import type { Agent } from '../../../src/http/contract.ts';

export const PROTOCOLS: Readonly<Record<Agent['protocol'], { readonly label: string }>> = {
  envelope: { label: 'Envelope' },
  mcp: { label: 'MCP' },
  a2a: { label: 'A2A' },
  openai: { label: 'OpenAI' },
  webhook: { label: 'Webhook' },
};

export type Field = {
  /** As the API calls it: errors name it so. */
  readonly name: string;
  readonly label: string;
  readonly help: string;
  readonly kind: 'text' | 'secret' | 'json' | 'words' | 'number';
  readonly isRequired?: true;
  readonly placeholder?: string;
};

export type Preset = {
  readonly id: string;
  readonly label: string;
  /** What somebody has who should take it. */
  readonly what: string;
  readonly protocol: Agent['protocol'];
  /** `metadata.preset`, where the API knows it by name. */
  readonly preset?: string;
  readonly address: { readonly placeholder: string; readonly help: string };
  readonly fields: readonly Field[];
};

const credential = (help: string): Field => ({
  name: 'metadata.api_key',
  label: 'Its key',
  help: `${help} It is sealed, and never shown again.`,
  kind: 'secret',
});
const model: Field = {
  name: 'metadata.model',
  label: 'Model',
  help: 'As the endpoint calls it.',
  kind: 'text',
  isRequired: true,
  placeholder: 'gpt-5-mini',
};

export const PRESETS: readonly Preset[] = [
  {
    id: 'envelope',
    label: 'Darkspere SDK',
    what: 'A program of yours, with our SDK or by hand: one signed JSON request for each question.',
    protocol: 'envelope',
    address: {
      placeholder: 'https://agent.example.com/',
      help: 'Questions are posted here, signed with the secret that you get at the end.',
    },
    fields: [],
  },
  {
    id: 'mcp',
    label: 'MCP server',
    what: 'A server of the Model Context Protocol over Streamable HTTP, old or new; its chat tool is found.',
    protocol: 'mcp',
    address: { placeholder: 'https://tools.example.com/mcp', help: 'The Streamable HTTP address of the server.' },
    fields: [
      credential('A bearer token, where the server wants one.'),
      {
        name: 'metadata.tool',
        label: 'Tool',
        help: 'The one to call; where several could be meant, it has to be named.',
        kind: 'text',
        placeholder: 'found by itself',
      },
      {
        name: 'metadata.arguments',
        label: 'Arguments',
        help: 'Of the tool, with {{text}}, {{conversationId}}, {{history}} …; found in its schema otherwise.',
        kind: 'json',
        placeholder: '{ "question": "{{text}}" }',
      },
    ],
  },
  {
    id: 'a2a',
    label: 'A2A agent',
    what: 'An agent with a card, of A2A 1.0 or 0.3.',
    protocol: 'a2a',
    address: {
      placeholder: 'https://agent.example.com/',
      help: 'Where its card is (/.well-known/agent-card.json), or the card itself.',
    },
    fields: [credential('A bearer token, where the agent wants one.')],
  },
  {
    id: 'openai',
    label: 'OpenAI-compatible',
    what: 'A model behind Chat Completions: OpenAI, vLLM, Ollama, llama.cpp, LiteLLM and many more.',
    protocol: 'openai',
    address: { placeholder: 'https://api.openai.com/v1', help: 'The base of the API; the path of the call is added.' },
    fields: [
      model,
      credential('The API key of the endpoint.'),
      {
        name: 'metadata.instructions',
        label: 'Instructions',
        help: 'The system message. Without one it is told to answer a text message, in plain words and briefly.',
        kind: 'words',
      },
    ],
  },
  {
    id: 'n8n-chat',
    label: 'n8n chat',
    what: 'A workflow that begins with a Chat Trigger.',
    protocol: 'webhook',
    preset: 'n8n-chat',
    address: {
      placeholder: 'https://n8n.example.com/webhook/…/chat',
      help: 'The production Chat URL of the trigger; the workflow must be active.',
    },
    fields: [credential('A bearer token, where something before n8n wants one.')],
  },
  {
    id: 'n8n-webhook',
    label: 'n8n webhook',
    what: 'A workflow that begins with a Webhook node and answers with its last one.',
    protocol: 'webhook',
    preset: 'n8n-webhook',
    address: {
      placeholder: 'https://n8n.example.com/webhook/…',
      help: 'The production URL of the node; “Respond” is “When last node finishes”.',
    },
    fields: [credential('A bearer token, as the node’s header authentication expects it.')],
  },
  {
    id: 'langgraph',
    label: 'LangGraph',
    what: 'An assistant of a LangGraph server; it gets the whole conversation each time.',
    protocol: 'webhook',
    preset: 'langgraph',
    address: { placeholder: 'https://graph.example.com', help: 'The base of the server; /runs/wait is added.' },
    fields: [
      {
        name: 'metadata.assistant_id',
        label: 'Assistant',
        help: 'Its id, or the name of the graph.',
        kind: 'text',
        isRequired: true,
        placeholder: 'agent',
      },
      credential('Sent as x-api-key.'),
    ],
  },
  {
    id: 'webhook',
    label: 'Webhook',
    what: 'Anything with a JSON interface of its own: what is posted, and where the reply is.',
    protocol: 'webhook',
    address: { placeholder: 'https://bot.example.com/ask', help: 'The filled template is posted here.' },
    fields: [
      {
        name: 'metadata.body',
        label: 'What is posted',
        help: 'JSON with {{text}}, {{conversationId}}, {{messageId}}, {{history}}, {{messages}}, {{media}}.',
        kind: 'json',
        isRequired: true,
        placeholder: '{ "question": "{{text}}", "user": "{{conversationId}}" }',
      },
      {
        name: 'metadata.reply',
        label: 'Where the reply is',
        help: 'The path in the answer, like data.0.text; the usual places are tried without it.',
        kind: 'text',
        placeholder: 'answer.text',
      },
      credential('A bearer token, where it wants one.'),
    ],
  },
];

export type Values = Readonly<Record<string, string>>;
/** By field; an empty string is a form without one. */
export type FieldError = { readonly param: string; readonly message: string };

/** The body of POST /v1/agents, or the field that cannot be put into one. */
export function bodyOf(preset: Preset, values: Values): { body: Record<string, unknown> } | { error: FieldError } {
  const metadata: Record<string, unknown> = preset.preset === undefined ? {} : { preset: preset.preset };
  for (const { name, kind, label, isRequired } of preset.fields) {
    const text = (values[name] ?? '').trim();
    if (text === '') {
      if (isRequired) return { error: { param: name, message: `${label} is missing.` } };
      continue;
    }
    if (kind !== 'json') {
      metadata[name.replace('metadata.', '')] = text;
      continue;
    }
    try {
      metadata[name.replace('metadata.', '')] = JSON.parse(text);
    } catch (error) {
      return { error: { param: name, message: `${label} is not JSON: ${(error as Error).message}.` } };
    }
  }
  const most = (values.max_concurrent_sessions ?? '').trim();
  return {
    body: {
      agent_name: (values.agent_name ?? '').trim(),
      agent_type: (values.agent_type ?? '').trim(),
      endpoint_url: (values.endpoint_url ?? '').trim(),
      capabilities: (values.capabilities ?? '')
        .split(',')
        .map((word) => word.trim())
        .filter(Boolean),
      ...(most === '' ? {} : { max_concurrent_sessions: Number(most) }),
      ...(preset.preset === undefined ? { protocol: preset.protocol } : {}),
      metadata,
    },
  };
}
