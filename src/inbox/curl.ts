// A call as a command for a terminal: what was sent, byte for byte as far as it is kept, with `$VARIABLES` where a secret was.
import type { Protocol } from '../agents/agent.ts';

export type Called = {
  readonly kind: 'agent' | 'send' | 'find';
  readonly target: string;
  readonly request: string;
  /** Of the agent that was called. */
  readonly protocol: Protocol | null;
};

/** For bash and every other POSIX shell: nothing in it is looked at but the quote itself. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Runs in bash. What it needs: curl; for an agent of ours that checks signatures openssl too. */
export function curlOf({ kind, target, request, protocol }: Called): string {
  if (kind !== 'agent') return carrierCall(kind, target, request);
  if (protocol !== 'envelope') {
    return [
      `curl -sS ${quoted(target)}`,
      `-H 'content-type: application/json' -H "authorization: Bearer $AGENT_CREDENTIAL"`,
      `--data-binary ${quoted(request)}`,
    ].join(' \\\n  ');
  }
  // Standard Webhooks: HMAC-SHA256 over id, time and body; the secret is base64 behind its prefix.
  return [
    `body=${quoted(request)}`,
    `id="msg_$(date +%s)"; at="$(date +%s)"`,
    `key="$(printf %s "\${AGENT_SIGNING_SECRET#whsec_}" | base64 -d | od -An -vtx1 | tr -d ' \\n')"`,
    `signature="$(printf %s "$id.$at.$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)"`,
    [
      `curl -sS ${quoted(target)} -H 'content-type: application/json'`,
      `-H "webhook-id: $id" -H "webhook-timestamp: $at" -H "webhook-signature: v1,$signature"`,
      `--data-binary "$body"`,
    ].join(' \\\n  '),
  ].join('\n');
}

/** `request` of a send is the form, of a search its query. */
function carrierCall(kind: 'send' | 'find', target: string, request: string): string {
  const account = `-u "$TWILIO_ACCOUNT_SID:$TWILIO_AUTH_TOKEN"`;
  if (kind === 'find') return `curl -sS ${account} ${quoted(request === '' ? target : `${target}?${request}`)}`;
  // Reports on another message must not reach us as reports on this one.
  const form = request.replace(/&StatusCallback=[^&]*/, '');
  return `# This sends a text.\ncurl -sS ${account} ${quoted(target)} \\\n  --data ${quoted(form)}`;
}
