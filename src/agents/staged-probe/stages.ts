// The stages on the way to an answer, and what to correct when one of them fails.
import type { ErrorCode } from '../../errors.ts';
import type { Protocol } from '../agent.ts';

export const STAGES = ['dns', 'tcp', 'tls', 'http', 'handshake', 'echo'] as const;
export type Stage = (typeof STAGES)[number];

/**
 * full: to the echo, which is a question like that of a person where the protocol has nothing smaller. handshake: the agent is
 * asked for nothing that costs or acts.
 */
export const DEPTHS = ['full', 'handshake'] as const;
export type Depth = (typeof DEPTHS)[number];

export type StageResult = {
  readonly stage: Stage;
  /** unknown: it went as it may go with a good agent, and shows nothing. skipped: there is no such stage here. */
  readonly outcome: 'passed' | 'failed' | 'unknown' | 'skipped';
  readonly duration_ms: number;
  /** Never the agent's own words. */
  readonly detail: string;
};

/** What a staged probe found. Kept as it is in `agent_registry.last_probe`, the newest of each agent. */
export type Probe = {
  /** No stage failed. */
  readonly ok: boolean;
  readonly depth: Depth;
  /** When it began; ISO 8601, UTC. */
  readonly at: string;
  readonly duration_ms: number;
  readonly failed_stage: Stage | null;
  readonly code: ErrorCode | null;
  /** What was found where it failed. */
  readonly reason: string | null;
  /** What to correct. */
  readonly hint: string | null;
  /** Those that were reached, in their order. */
  readonly stages: StageResult[];
};

export type StageFailure = { readonly code: ErrorCode; readonly reason: string; readonly hint: string };

/** What to correct, by where it failed and of what. */
export function hintFor(stage: Stage, code: ErrorCode, url: URL, protocol: Protocol): string {
  if (code === 'egress_denied')
    return 'Use an https address on the public internet, or add the agent’s network to DARKSPERE_EGRESS_ALLOW.';
  if (code === 'agent_unauthorized') return UNAUTHORIZED[protocol];
  switch (stage) {
    case 'dns':
      return `Correct the name ${url.hostname}, or publish it in the DNS that Darkspere asks.`;
    case 'tcp':
      return code === 'agent_timeout'
        ? 'Open the port in the firewall, or correct the address: packets get no answer.'
        : 'Start the agent, or correct the port. An agent that registers before it listens adds ?probe=skip.';
    case 'tls':
      return 'Put a certificate that browsers trust, for this name, on the port; a server without TLS is http://.';
    case 'http':
      return HTTP[code] ?? 'Look at the agent’s own log at this time.';
    case 'handshake':
      return HANDSHAKE[protocol];
    case 'echo':
      return ECHO[protocol];
  }
}

const UNAUTHORIZED: Readonly<Record<Protocol, string>> = {
  envelope: 'Give the agent the signing_secret of its registration, or rotate it.',
  openai: 'Put the key of the endpoint into metadata.api_key.',
  mcp: 'Put the server’s token into metadata.api_key.',
  a2a: 'Put the agent’s token into metadata.api_key.',
  webhook:
    'Put the key into metadata.api_key, and its header into metadata.api_key_header where it is not Authorization: Bearer.',
};

const HTTP: Readonly<Partial<Record<ErrorCode, string>>> = {
  agent_http: 'Correct the path of endpoint_url; a redirect is never followed, so name the address it leads to.',
  agent_contract:
    'Something that does not speak HTTP listens there, or it speaks TLS: then the address begins with https://.',
  agent_broken: 'The server hangs up without an answer. Where it speaks TLS the address begins with https://.',
  agent_timeout:
    'The server takes connections and says nothing: look at the agent’s own log. One that thinks for longer than a probe registers with ?probe=handshake.',
  agent_away: 'Start what runs behind this address: a proxy answers for it. At a model provider, try again.',
  agent_busy: 'The agent says that it has too much to do: try again when it has less.',
};

const HANDSHAKE: Readonly<Record<Protocol, string>> = {
  envelope:
    'Answer with a JSON envelope of ours, or register the protocol that it speaks (protocol: openai, mcp, a2a, webhook).',
  openai: 'endpoint_url is the base of the API, like https://api.example.com/v1.',
  mcp: 'endpoint_url is the Streamable HTTP address of the server; where several tools could be meant, name one in metadata.tool.',
  a2a: 'Serve the agent card at /.well-known/agent-card.json, or name its address in endpoint_url.',
  webhook: 'Answer with JSON.',
};

const ECHO: Readonly<Record<Protocol, string>> = {
  envelope:
    'in_reply_to must be the message_id of the request, payload.session_id its session, and the type the one that answers it.',
  openai:
    'Name a model that the endpoint has in metadata.model; a field that it refuses is left out or renamed with metadata.extra and metadata.max_tokens_field.',
  mcp: 'Correct metadata.tool and metadata.arguments, or where the reply is in metadata.reply.',
  a2a: 'Look at the agent’s own log: it took the message and gave no text.',
  webhook: 'Correct metadata.body, or name the path of the reply in metadata.reply.',
};
