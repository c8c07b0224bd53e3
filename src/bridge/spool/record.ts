// How records lie in a spool file: magic, length, checksum, JSON. Pure. A file may end anywhere and hold anything: every
// record that is whole is found again, whatever stands between them.
import { crc32 } from 'node:zlib';
import type { Inbound, StatusReport } from '../../channels/channel.ts';

/** What a webhook said, verified and parsed. */
export type Entry =
  | { readonly kind: 'text'; readonly text: Inbound }
  | { readonly kind: 'status'; readonly report: StatusReport };

/** A record in a file: its bytes are `at` up to `end`. */
export type Found = { readonly at: number; readonly end: number; readonly entry: Entry };

/**
 * Bytes that are no record. `torn`: the file ends within a record, as after a crash in the middle of a write. `damaged`:
 * what was written is not what is there. `unknown`: whole, but of a release that this one does not know.
 */
export type Damage = { readonly at: number; readonly end: number; readonly reason: 'torn' | 'damaged' | 'unknown' };

const VERSION = 1;
/** 0xff occurs in no UTF-8, so a text cannot hold the beginning of a record. */
const MAGIC = Buffer.from([0xff, 0x44, 0x53, 0x50]);
const HEADER = 12;
/** A webhook is 64 KiB at most; a length above this is damage. */
const MAX_PAYLOAD = 1024 * 1024;

/** The bytes of a record. */
export function encodeRecord(entry: Entry): Buffer {
  const payload = Buffer.from(JSON.stringify({ v: VERSION, ...entry }), 'utf8');
  const record = Buffer.allocUnsafe(HEADER + payload.length);
  MAGIC.copy(record);
  record.writeUInt32LE(payload.length, 4);
  payload.copy(record, HEADER);
  record.writeUInt32LE(checksum(record, 0, record.length), 8);
  return record;
}

/** Every whole record of a file in order, and what lies between them. Never throws. */
export function scanRecords(file: Buffer): { found: Found[]; damage: Damage[] } {
  const found: Found[] = [];
  const damage: Damage[] = [];
  for (let at = 0; at < file.length; ) {
    const end = endOf(file, at);
    const entry = end === null ? null : decode(file.subarray(at + HEADER, end));
    if (end !== null && entry !== null) {
      found.push({ at, end, entry });
      at = end;
      continue;
    }
    const next = end ?? nextRecord(file, at + 1);
    damage.push({ at, end: next, reason: end === null ? reasonOf(file, at, next) : 'unknown' });
    at = next;
  }
  return { found, damage };
}

/** Where the record that begins at `at` ends; null when no whole one does. */
function endOf(file: Buffer, at: number): number | null {
  if (!beginsAt(file, at) || file.length - at < HEADER) return null;
  const length = file.readUInt32LE(at + 4);
  const end = at + HEADER + length;
  if (length > MAX_PAYLOAD || end > file.length) return null;
  return checksum(file, at, end) === file.readUInt32LE(at + 8) ? end : null;
}

function beginsAt(file: Buffer, at: number): boolean {
  return file.subarray(at, at + MAGIC.length).equals(MAGIC);
}

/** Over the length and the payload: a length that changed is noticed like any other byte. */
function checksum(file: Buffer, at: number, end: number): number {
  return crc32(file.subarray(at + HEADER, end), crc32(file.subarray(at + 4, at + 8)));
}

function nextRecord(file: Buffer, from: number): number {
  for (let at = file.indexOf(MAGIC, from); at >= 0; at = file.indexOf(MAGIC, at + 1)) {
    if (endOf(file, at) !== null) return at;
  }
  return file.length;
}

function reasonOf(file: Buffer, at: number, next: number): Damage['reason'] {
  if (next < file.length) return 'damaged';
  const rest = file.subarray(at);
  // Some file systems lengthen a file before its bytes are there.
  if (rest.every((byte) => byte === 0)) return 'torn';
  if (rest.length < HEADER) return MAGIC.subarray(0, rest.length).equals(rest.subarray(0, 4)) ? 'torn' : 'damaged';
  const length = file.readUInt32LE(at + 4);
  return beginsAt(file, at) && length <= MAX_PAYLOAD && HEADER + length > rest.length ? 'torn' : 'damaged';
}

function decode(payload: Buffer): Entry | null {
  try {
    const { v, ...entry } = JSON.parse(payload.toString('utf8')) as { v: number } & Entry;
    return v === VERSION && (entry.kind === 'text' || entry.kind === 'status') ? entry : null;
  } catch {
    return null;
  }
}
