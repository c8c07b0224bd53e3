// The secrets of an agent as they lie in its row. `secrets` holds both as they were registered; what was changed since lies
// beside it, because the part that changes them can read none of them.
import { now } from '../clock.ts';
import type { SecretBox } from '../security/secrets.ts';

export type SealedRow = {
  readonly secrets: Uint8Array;
  readonly signing_secret: Uint8Array | null;
  readonly credential: Uint8Array | null;
  readonly old_signing_secret: Uint8Array | null;
  readonly old_secret_until: Date | null;
  /** Of the agent's further copies, those that hold; base64. */
  readonly copies: readonly string[];
};

export type Secrets = {
  readonly plain: {
    readonly signingSecret: string;
    readonly credential: string | null;
    /** Null as soon as it holds no more. */
    readonly oldSigningSecret: string | null;
    readonly copySecrets: readonly string[];
  };
  /** What it was opened from. */
  readonly row: SealedRow;
};

const SEALED = ['secrets', 'signing_secret', 'credential', 'old_signing_secret'] as const;

/** Opens a row's secrets, or takes them from the last time where nothing has changed. Throws what the box throws. */
export function openSecrets(box: SecretBox, row: SealedRow, known: Secrets | null): Secrets {
  const holds = row.old_secret_until !== null && row.old_secret_until > now();
  const isSame =
    known !== null &&
    SEALED.every((column) => isEqual(known.row[column], row[column])) &&
    known.row.copies.join() === row.copies.join();
  if (isSame && holds === (known.plain.oldSigningSecret !== null)) return known;
  const open = (sealed: Uint8Array | null) => (sealed === null ? {} : (box.open(sealed) as Partial<Plain>));
  const registered = open(row.secrets) as Plain;
  const old = holds ? open(row.old_signing_secret).signingSecret : undefined;
  const plain = {
    signingSecret: open(row.signing_secret).signingSecret ?? registered.signingSecret,
    credential: row.credential === null ? registered.credential : (open(row.credential).credential ?? null),
    oldSigningSecret: old ?? null,
    copySecrets: row.copies.flatMap((sealed) => open(Buffer.from(sealed, 'base64')).signingSecret ?? []),
  };
  return { plain, row };
}

type Plain = { readonly signingSecret: string; readonly credential: string | null };

function isEqual(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}
