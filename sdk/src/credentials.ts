// What an agent was issued, kept between its starts in one file that its owner alone can read.
import { chmodSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export type Credentials = {
  readonly agent_id: string;
  /** Opens what the agent itself may call. */
  readonly api_key: string;
  /** Signs what the agent is sent, the newest first; during a rotation there are two. */
  readonly signing_secrets: readonly string[];
  /** Until when the older of two secrets holds, as Darkspere wrote it. */
  readonly old_secret_until?: string;
  /** What Darkspere shows the agent over MCP and A2A. */
  readonly token: string;
  /** The registration service that issued it: another one does not know it. */
  readonly registration_url: string;
  /** Where the agent said it lives. */
  readonly endpoint_url: string;
};

/**
 * The credentials in `file`, or null when there are none or they are damaged. A file that others can read is closed;
 * `warn` is told.
 */
export function loadCredentials(file: string, warn: (line: string) => void): Credentials | null {
  try {
    if ((statSync(file).mode & 0o077) !== 0 && process.platform !== 'win32') {
      chmodSync(file, 0o600);
      warn(`${file} could be read by others; it is closed now. Rotate its secrets if somebody may have.`);
    }
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return isCredentials(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

/** Replaces the file as a whole. The folder is closed to others, and git is told to leave it out. Throws as fs does. */
export function saveCredentials(file: string, credentials: Credentials): void {
  const folder = dirname(file);
  if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined && basename(folder) === '.darkspere-agent')
    writeFileSync(join(folder, '.gitignore'), '*\n');
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, file);
}

function isCredentials(value: unknown): value is Credentials {
  const fields = (value ?? {}) as Record<string, unknown>;
  const texts = ['agent_id', 'api_key', 'token', 'registration_url', 'endpoint_url'];
  const { signing_secrets: secrets } = fields;
  return (
    texts.every((field) => typeof fields[field] === 'string') &&
    Array.isArray(secrets) &&
    secrets.every((secret) => typeof secret === 'string')
  );
}
