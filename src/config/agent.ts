// The agent that the environment names, for the first five minutes: everybody else registers.
import type { Reading } from './reading.ts';

/** Those that need no settings beyond what there are variables for. */
const PROTOCOLS = ['envelope', 'openai', 'mcp', 'a2a'] as const;

export type AgentSettings = {
  readonly url: string;
  readonly protocol: (typeof PROTOCOLS)[number];
  /** Bearer credential, any protocol but `envelope`. */
  readonly credential: string | null;
  /** Standard Webhooks secret, protocol `envelope`. */
  readonly signingSecret: string | null;
  /** `model`, `instructions`. */
  readonly metadata: Readonly<Record<string, string>>;
};

const OTHERS = [
  'DARKSPERE_AGENT_SECRET',
  'DARKSPERE_AGENT_KEY',
  'DARKSPERE_AGENT_MODEL',
  'DARKSPERE_AGENT_INSTRUCTIONS',
] as const;

/** The settings of that agent, or null when none is named. Notes a problem where they do not fit together. */
export function readAgent(reading: Reading): AgentSettings | null {
  const url = reading.read('DARKSPERE_AGENT_URL');
  const named = reading.read('DARKSPERE_AGENT_PROTOCOL');
  const protocol = PROTOCOLS.find((one) => one === named) ?? 'envelope';
  const [signingSecret, credential, model, instructions] = OTHERS.map((name) => reading.read(name));
  if (!reading.isSet('DARKSPERE_AGENT_URL')) {
    for (const name of [...OTHERS, 'DARKSPERE_AGENT_PROTOCOL'] as const) {
      if (reading.isSet(name)) reading.warn(`${name} has no effect without DARKSPERE_AGENT_URL.`);
    }
    return null;
  }
  if (protocol === 'envelope') checkSecret(reading, signingSecret ?? null);
  if (url === null) return null;
  return {
    url,
    protocol,
    credential: credential ?? null,
    signingSecret: signingSecret ?? null,
    metadata: { ...(model ? { model } : {}), ...(instructions ? { instructions } : {}) },
  };
}

function checkSecret(reading: Reading, secret: string | null): void {
  const fix = 'set it to whsec_ and base64, for example whsec_ and the output of `openssl rand -base64 32`';
  if (!reading.isSet('DARKSPERE_AGENT_SECRET')) {
    reading.problem('DARKSPERE_AGENT_SECRET', 'is missing and required with protocol envelope', fix);
  } else if (secret !== null && !/^whsec_[A-Za-z0-9+/]{22,}={0,2}$/.test(secret)) {
    reading.problem('DARKSPERE_AGENT_SECRET', 'does not have the shape of a signing secret', fix);
  }
}
