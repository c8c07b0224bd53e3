// How the demo agent gets its credentials: it registers like any agent would, and remembers what it was given.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

export type Credentials = {
  readonly agent_id: string;
  readonly api_key: string;
  readonly signing_secret: string;
  /** Where the agent said it lives; with another port it must register again. */
  readonly endpoint_url: string;
};

const CALL_MS = 10_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;

/** The credentials in `file`; null when there are none or the file is damaged. */
export function loadCredentials(file: string): Credentials | null {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return isCredentials(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

/** Readable by the owner alone, replaced whole. */
export function saveCredentials(file: string, credentials: Credentials): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/**
 * Registers at `registrationUrl`, waiting for the service as long as it takes.
 * Throws when the service answers that it will never work (a wrong secret, a refused address).
 */
export async function register(
  {
    registrationUrl,
    registrationSecret,
    endpointUrl,
  }: { registrationUrl: string; registrationSecret: string; endpointUrl: string },
  signal: AbortSignal,
): Promise<Credentials> {
  const body = JSON.stringify({
    registration_secret: registrationSecret,
    agent_name: 'demo',
    // Lets a start that runs no demo agent find it and take it out.
    metadata: { source: 'demo' },
    agent_type: 'chat',
    endpoint_url: endpointUrl,
    capabilities: ['chat'],
    protocol: 'envelope',
  });
  const response = await untilAnswered(
    `${registrationUrl}/api/agents/register`,
    { method: 'POST', body, headers: { 'content-type': 'application/json' } },
    signal,
  );
  const answer = (await response.json().catch(() => null)) as Record<string, unknown> | null;
  if (!response.ok) throw new Error(`the registration was refused (${response.status}${codeIn(answer)})`);
  const credentials = { ...answer, endpoint_url: endpointUrl };
  if (!isCredentials(credentials))
    throw new Error('the registration service answered without agent_id, api_key and signing_secret');
  const { agent_id, api_key, signing_secret, endpoint_url } = credentials;
  return { agent_id, api_key, signing_secret, endpoint_url };
}

/** Whether the service still knows these credentials; only a clear refusal is a no. */
export async function stillKnown(
  registrationUrl: string,
  { agent_id, api_key }: Credentials,
  signal: AbortSignal,
): Promise<boolean> {
  const headers = { authorization: `Bearer ${api_key}` };
  const { status } = await untilAnswered(`${registrationUrl}/api/agents/${agent_id}`, { headers }, signal);
  return status !== 401 && status !== 403;
}

/** Takes an earlier registration out of service, so that nobody calls an address that is gone. May fail: it is a courtesy. */
export async function deactivate(registrationUrl: string, { agent_id, api_key }: Credentials): Promise<void> {
  const headers = { authorization: `Bearer ${api_key}` };
  await fetch(`${registrationUrl}/api/agents/${agent_id}/deactivate`, {
    method: 'POST',
    headers,
    signal: AbortSignal.timeout(CALL_MS),
  }).catch(() => {});
}

/** Repeats the call until something answers that is neither "not now" nor "too many". */
async function untilAnswered(url: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
    signal.throwIfAborted();
    const call = AbortSignal.any([signal, AbortSignal.timeout(CALL_MS)]);
    const response = await fetch(url, { ...init, signal: call }).catch(() => null);
    if (response !== null && response.status < 500 && response.status !== 429) return response;
    await response?.body?.cancel();
    await pause(pauseMs, undefined, { signal });
  }
}

function codeIn(answer: Record<string, unknown> | null): string {
  const code = (answer?.error as Record<string, unknown> | undefined)?.code;
  return typeof code === 'string' ? `, ${code}` : '';
}

function isCredentials(value: unknown): value is Credentials {
  const fields = (value ?? {}) as Record<string, unknown>;
  return ['agent_id', 'api_key', 'signing_secret', 'endpoint_url'].every((field) => typeof fields[field] === 'string');
}
