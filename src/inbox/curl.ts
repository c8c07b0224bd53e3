// A call as a command for a terminal: what was sent, byte for byte as far as it is kept, with `$VARIABLES` where a secret was.
// What is in it came from strangers, so nothing of it may mean anything to the shell, nor to a terminal it is pasted into.
import type { Protocol } from '../agents/agent.ts';
import { KEPT_REQUEST } from '../agents/protocols/wire.ts';

/** The agent that was called, as it is registered now; nulls: none was, or its row is gone. */
export type CalledAgent = {
  readonly protocol: Protocol | null;
  readonly endpoint_url: string | null;
  /** Its `metadata.api_key_header`, unchecked. */
  readonly key_header: string | null;
};

export type Called = CalledAgent & {
  readonly kind: 'agent' | 'send';
  readonly target: string;
  readonly request: string;
};

const JSON_TYPE = `-H 'content-type: application/json'`;
const STREAMS = `-H 'accept: application/json, text/event-stream'`;
const ACCOUNT = '-u "$TWILIO_ACCOUNT_SID:$TWILIO_AUTH_TOKEN"';
/** Curl leaves out a header that has no value: an agent that wants no credential is sent none. */
const BEARER = `-H "authorization: \${AGENT_CREDENTIAL:+Bearer $AGENT_CREDENTIAL}"`;

/** Runs in bash as it is; what it needs is curl and, where an agent checks signatures, openssl. */
export function curlOf(called: Called): string {
  const cut =
    called.request.length >= KEPT_REQUEST
      ? '# Only the beginning of the request was kept: this is not all of it.\n'
      : '';
  return cut + commandOf(called);
}

function commandOf(called: Called): string {
  const { kind, target, request } = called;
  switch (kind) {
    case 'send': {
      // Reports on another message must not reach us as reports on this one.
      const form = request.replace(/(^|&)StatusCallback=[^&]*/, '');
      return `# This sends a text.\ncurl -sS ${ACCOUNT} ${quoted(target)} \\\n  --data-raw ${quoted(form)}`;
    }
    case 'agent':
      return agentCall(called);
  }
}

function agentCall(called: Called): string {
  const { protocol, target, request } = called;
  switch (protocol) {
    case 'envelope':
      return withQuery(called, (url) => signed(url, request));
    case 'webhook':
      return withQuery(called, (url) => post(url, request, [keyIn(called.key_header)]));
    case 'mcp':
      return withQuery(called, (url) => (request === '' ? unasked(url) : toolCall(url, request)));
    case 'a2a':
      return request === '' ? unasked(quoted(target)) : message(called);
    default:
      return withQuery(called, (url) => post(url, request, [BEARER]));
  }
}

/** The query of the registered address is not kept with a call, since it may hold a key. */
function withQuery({ target, endpoint_url }: Called, command: (url: string) => string): string {
  const url = quoted(target);
  if (endpoint_url === null || !URL.canParse(endpoint_url) || new URL(endpoint_url).search === '') return command(url);
  return `# AGENT_QUERY: what follows the question mark in the address of the agent.\n${command(`${url}"?$AGENT_QUERY"`)}`;
}

function post(url: string, body: string, headers: readonly string[]): string {
  return [`curl -sS ${url} ${JSON_TYPE}`, ...headers, `--data-raw ${quoted(body)}`].join(' \\\n  ');
}

/** Checked again: the row may be older than the rule that its name is one of a header. */
function keyIn(header: string | null): string {
  return header !== null && /^x-[a-z0-9-]{1,60}$/i.test(header) ? `-H "${header}: $AGENT_CREDENTIAL"` : BEARER;
}

/** The handshake before the question failed. */
function unasked(url: string): string {
  return `# The call ended before anything was asked. What is at the address:\ncurl -sS ${url} ${BEARER}`;
}

/** The headers of the revision of 2026-07-28 repeat what is in the body; of older ones the handshake comes first. */
function toolCall(url: string, request: string): string {
  const { method, params } = jsonIn(request);
  const version = objectIn(objectIn(params)._meta)['io.modelcontextprotocol/protocolVersion'];
  if (typeof version === 'string') {
    const said = { 'mcp-protocol-version': version, 'mcp-method': method, 'mcp-name': objectIn(params).name };
    const headers = Object.entries(said).map(
      ([name, value]) => `-H ${quoted(`${name}: ${headerValue(String(value))}`)}`,
    );
    return post(url, request, [STREAMS, ...headers, BEARER]);
  }
  const headers = [STREAMS, BEARER, '-H "mcp-session-id: $session"'];
  return [
    '# A server of the older revisions may keep sessions, so the handshake comes first.',
    `session="$(${post(url, HELLO, ['-D - -o /dev/null', STREAMS, BEARER])} |`,
    `  tr -d '\\r' | awk 'tolower($1) == "mcp-session-id:" { print $2 }')"`,
    post(url, '{"jsonrpc":"2.0","method":"notifications/initialized"}', headers),
    post(url, request, headers),
  ].join('\n');
}

const HELLO = JSON.stringify({
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'curl', version: '1' } },
});

/** As SEP-2243 wants the name of a tool in a header. */
function headerValue(value: string): string {
  const isPlain = /^[!-~]([ -~]*[!-~])?$/.test(value) && !value.startsWith('=?base64?');
  return isPlain ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`;
}

/** The version is in the names: of the method over JSON-RPC, of the fields over HTTP+JSON. */
function message({ target, request, endpoint_url }: Called): string {
  const { method, message: bare } = jsonIn(request);
  const isOld = typeof method === 'string' ? method.includes('/') : 'content' in objectIn(bare);
  const headers = [STREAMS, `-H 'a2a-version: ${isOld ? '0.3' : '1.0'}'`];
  if (endpoint_url !== null && isElsewhere(target, endpoint_url))
    return `# Not at the host that is registered, so the credential of the agent does not belong here.\n${post(quoted(target), request, headers)}`;
  return post(quoted(target), request, [...headers, BEARER]);
}

function isElsewhere(target: string, endpoint: string): boolean {
  return URL.canParse(target) && URL.canParse(endpoint) && new URL(target).origin !== new URL(endpoint).origin;
}

type Fields = Readonly<Record<string, unknown>>;

/** What was cut says nothing. */
function jsonIn(request: string): Fields {
  try {
    return objectIn(JSON.parse(request));
  } catch {
    return {};
  }
}

function objectIn(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

/** Standard Webhooks: HMAC-SHA256 over id, time and body; the secret is base64 behind its prefix. */
function signed(url: string, request: string): string {
  const [, id = 'msg_1'] = /"message_id":"([\w-]{1,64})"/.exec(request) ?? [];
  return [
    `body=${quoted(request)}`,
    `id=${id}; at="$(date +%s)"`,
    `key="$(printf %s "\${AGENT_SIGNING_SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \\n')"`,
    `signature="$(printf %s "$id.$at.$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)"`,
    [
      `curl -sS ${url} ${JSON_TYPE}`,
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
