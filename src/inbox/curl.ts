// A call as a command for a terminal: what was sent, byte for byte as far as it is kept, with `$VARIABLES` where a secret was.
// What is in it came from strangers, so nothing of it may mean anything to the shell, nor to a terminal it is pasted into.
import type { Protocol } from '../agents/agent.ts';

export type Called = {
  readonly kind: 'agent' | 'send' | 'find';
  readonly target: string;
  readonly request: string;
  /** Of the agent that was called. */
  readonly protocol: Protocol | null;
};

/** Of longer requests only the beginning is kept (src/agents/protocols/wire.ts). */
const KEPT = 8_192;
const JSON_TYPE = `-H 'content-type: application/json'`;
const STREAMS = ` -H 'accept: application/json, text/event-stream'`;
const ACCOUNT = '-u "$TWILIO_ACCOUNT_SID:$TWILIO_AUTH_TOKEN"';

/** Runs in bash as it is; what it needs is curl and, where an agent checks signatures, openssl. */
export function curlOf(called: Called): string {
  const cut =
    called.request.length >= KEPT ? '# Only the beginning of the request was kept: this is not all of it.\n' : '';
  return cut + commandOf(called);
}

function commandOf({ kind, target, request, protocol }: Called): string {
  switch (kind) {
    case 'find':
      return `curl -sS ${ACCOUNT} ${quoted(request === '' ? target : `${target}?${request}`)}`;
    case 'send': {
      // Reports on another message must not reach us as reports on this one.
      const form = request.replace(/(^|&)StatusCallback=[^&]*/, '');
      return `# This sends a text.\ncurl -sS ${ACCOUNT} ${quoted(target)} \\\n  --data-raw ${quoted(form)}`;
    }
    case 'agent':
      return agentCall(target, request, protocol);
  }
}

function agentCall(target: string, request: string, protocol: Protocol | null): string {
  switch (protocol) {
    case 'envelope':
      return signed(target, request);
    case 'mcp': {
      const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${request}}`;
      return `# A server that keeps sessions wants \`initialize\` first.\n${withCredential(target, body, STREAMS)}`;
    }
    case 'a2a':
      return `# Only the message: the call around it is the protocol's.\n${withCredential(target, request, STREAMS)}`;
    default:
      return withCredential(target, request);
  }
}

function withCredential(target: string, request: string, more = ''): string {
  return [
    `curl -sS ${quoted(target)}${more}`,
    `${JSON_TYPE} -H "authorization: Bearer $AGENT_CREDENTIAL"`,
    `--data-raw ${quoted(request)}`,
  ].join(' \\\n  ');
}

/** Standard Webhooks: HMAC-SHA256 over id, time and body; the secret is base64 behind its prefix. */
function signed(target: string, request: string): string {
  const [, id = 'msg_1'] = /"message_id":"([\w-]{1,64})"/.exec(request) ?? [];
  return [
    `body=${quoted(request)}`,
    `id=${id}; at="$(date +%s)"`,
    `key="$(printf %s "\${AGENT_SIGNING_SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \\n')"`,
    `signature="$(printf %s "$id.$at.$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)"`,
    [
      `curl -sS ${quoted(target)} ${JSON_TYPE}`,
      `-H "webhook-id: $id" -H "webhook-timestamp: $at" -H "webhook-signature: v1,$signature"`,
      `--data-raw "$body"`,
    ].join(' \\\n  '),
  ].join('\n');
}

// Control characters of both sets, and what turns the direction of writing around: a terminal acts on them when they are pasted.
const DANGEROUS = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;
const EACH_DANGEROUS = new RegExp(DANGEROUS, 'gu');

/** Nothing between single quotes means anything to a shell; with control characters it takes bash's `$'…'`. */
function quoted(text: string): string {
  if (!DANGEROUS.test(text)) return `'${text.replaceAll("'", `'\\''`)}'`;
  const escaped = text.replaceAll('\\', '\\\\').replaceAll("'", "\\'");
  return `$'${escaped.replace(EACH_DANGEROUS, (character) => [...Buffer.from(character)].map(hex).join(''))}'`;
}

const hex = (byte: number): string => `\\x${byte.toString(16).padStart(2, '0')}`;
