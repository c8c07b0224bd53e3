// Secrets that must be read again (signing secrets, credentials of agents) are sealed before they reach the database, so
// that a dump or a backup alone gives none of them away.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { chmod, link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DarkspereError } from '../errors.ts';

// Layout: format (1) · key id (1) · nonce (12) · tag (16) · ciphertext. The key id is there for rotation: a later release
// can open with the old key what it seals with the new one.
const FORMAT = 1;
const KEY_ID = 1;
const HEADER = 2;
const NONCE = 12;
const TAG = 16;
const KEY_BYTES = 32;

export type SecretBox = {
  /** Seals any JSON value. Two seals of one value differ. */
  seal(value: unknown): Buffer;
  /** Gives back what was sealed; throws `config_invalid` when the key is another one or the bytes were changed. */
  open(sealed: Uint8Array): unknown;
};

/** AES-256-GCM over JSON, header authenticated too. */
export function createSecretBox(key: Uint8Array): SecretBox {
  if (key.length !== KEY_BYTES) throw new DarkspereError('config_invalid', 'The encryption key must be 32 bytes long.');
  const header = Buffer.from([FORMAT, KEY_ID]);
  return {
    seal(value) {
      const nonce = randomBytes(NONCE);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(header);
      const body = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()]);
      return Buffer.concat([header, nonce, cipher.getAuthTag(), body]);
    },
    open(sealed) {
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
      const body = HEADER + NONCE + TAG;
      if (bytes.length < body || bytes[0] !== FORMAT || bytes[1] !== KEY_ID) throw cannotOpen();
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(HEADER, HEADER + NONCE), {
        authTagLength: TAG,
      })
        .setAAD(bytes.subarray(0, HEADER))
        .setAuthTag(bytes.subarray(HEADER + NONCE, body));
      try {
        return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(body)), decipher.final()]).toString('utf8'));
      } catch {
        throw cannotOpen();
      }
    },
  };
}

function cannotOpen(): DarkspereError {
  return new DarkspereError(
    'config_invalid',
    'A stored secret cannot be opened: it was sealed with another key. Restore secret.key of the data directory.',
  );
}

/**
 * The key under `dataDir/secret.key`, made on the first start. Two processes that start at once agree on one key: the
 * file appears whole or not at all, and whoever comes second reads it.
 */
export async function loadOrCreateKey(dataDir: string): Promise<Buffer> {
  const path = join(dataDir, 'secret.key');
  return (await readKey(path)) ?? (await createKey(dataDir, path));
}

/** The key under `dataDir/secret.key`; null when there is none. */
export function loadKey(dataDir: string): Promise<Buffer | null> {
  return readKey(join(dataDir, 'secret.key'));
}

async function readKey(path: string): Promise<Buffer | null> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return null;
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length !== KEY_BYTES) {
    throw new DarkspereError('config_invalid', `${path} does not hold 32 bytes in base64. Restore it from a backup.`);
  }
  // A copy or a restore may have widened the permissions.
  await chmod(path, 0o600);
  return key;
}

async function createKey(dataDir: string, path: string): Promise<Buffer> {
  await mkdir(dataDir, { recursive: true });
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  await writeFile(draft, `${randomBytes(KEY_BYTES).toString('base64')}\n`, { mode: 0o600, flag: 'wx', flush: true });
  try {
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await unlink(draft);
  }
  const key = await readKey(path);
  if (key === null) throw new DarkspereError('config_invalid', `${path} disappeared while it was made.`);
  return key;
}
