import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Inbound } from '../../channels/channel.ts';
import { type Entry, encodeRecord, scanRecords } from './record.ts';

const text = (words: string, more: Partial<Inbound> = {}): Entry => ({
  kind: 'text',
  text: {
    channel: 'sms',
    providerId: 'SM1',
    from: '+15550000001',
    to: '+15550000002',
    text: words,
    media: [],
    optOutHandled: null,
    ...more,
  },
});

const entries = fc.array(
  fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 200 }).map((words) => text(words)),
    fc.constantFrom('sent', 'delivered').map(
      (state): Entry => ({
        kind: 'status',
        report: { partId: 'p', providerId: 'SM2', state, errorCode: null },
      }),
    ),
  ),
  { minLength: 1, maxLength: 12 },
);

const fileOf = (all: readonly Entry[]) => Buffer.concat(all.map(encodeRecord));
const entriesOf = (file: Buffer) => scanRecords(file).found.map(({ entry }) => entry);

describe('spool records', () => {
  it('come back as they went in, in order', () => {
    fc.assert(
      fc.property(entries, (all) => {
        const { found, damage } = scanRecords(fileOf(all));
        assert.deepEqual(
          found.map(({ entry }) => entry),
          all,
        );
        assert.deepEqual(damage, []);
      }),
    );
  });

  it('hold any text, also one that looks like a record', () => {
    const nasty = encodeRecord(text('inner')).toString('latin1');
    assert.deepEqual(entriesOf(fileOf([text(nasty), text('\u0000 \u{10ffff}')])), [
      text(nasty),
      text('\u0000 \u{10ffff}'),
    ]);
  });

  it('before a cut are all there, wherever the file ends, and the rest is called torn', () => {
    const all = [text('first'), text('second 🎉'), text('third')];
    const file = fileOf(all);
    const ends = all.map((_, n) => fileOf(all.slice(0, n + 1)).length);
    for (let length = 0; length <= file.length; length++) {
      const whole = ends.filter((end) => end <= length).length;
      const { found, damage } = scanRecords(file.subarray(0, length));
      assert.equal(found.length, whole, `cut at ${length}`);
      const rest = length - (ends[whole - 1] ?? 0);
      assert.deepEqual(
        damage.map(({ at, end, reason }) => ({ size: end - at, reason })),
        rest === 0 ? [] : [{ size: rest, reason: 'torn' }],
        `cut at ${length}`,
      );
    }
  });

  it('before and behind a changed byte are all there, and the damage is told', () => {
    const all = [text('first'), text('second'), text('third')];
    const file = fileOf(all);
    const size = encodeRecord(all[0]!).length;
    for (let at = 0; at < file.length; at++) {
      for (const bit of [1, 128]) {
        const broken = Buffer.from(file);
        broken[at]! ^= bit;
        const hit = at < size ? 0 : at < size + encodeRecord(all[1]!).length ? 1 : 2;
        const { found, damage } = scanRecords(broken);
        assert.deepEqual(
          found.map(({ entry }) => entry),
          all.filter((_, n) => n !== hit),
          `byte ${at}`,
        );
        assert.equal(damage.length, 1, `byte ${at}`);
      }
    }
  });

  it('survive whatever is written between, before and behind them', () => {
    const noise = fc.uint8Array({ maxLength: 60 });
    fc.assert(
      fc.property(fc.array(fc.tuple(noise, fc.string({ maxLength: 20 })), { maxLength: 6 }), noise, (pieces, tail) => {
        const parts = pieces.flatMap(([bytes, words]) => [Buffer.from(bytes), encodeRecord(text(words))]);
        const file = Buffer.concat([...parts, Buffer.from(tail)]);
        assert.deepEqual(
          entriesOf(file),
          pieces.map(([, words]) => text(words)),
        );
      }),
    );
  });

  it('cover every byte of a file together with the damage', () => {
    fc.assert(
      fc.property(entries, fc.uint8Array({ maxLength: 40 }), fc.nat(), (all, noise, where) => {
        const whole = fileOf(all);
        const at = where % (whole.length + 1);
        const file = Buffer.concat([whole.subarray(0, at), Buffer.from(noise), whole.subarray(at)]);
        const { found, damage } = scanRecords(file);
        const pieces = [...found, ...damage].sort((a, b) => a.at - b.at);
        let end = 0;
        for (const piece of pieces) {
          assert.equal(piece.at, end);
          end = piece.end;
        }
        assert.equal(end, file.length);
      }),
    );
  });

  it('of zeros at the end, as a power cut may leave them, are torn', () => {
    const file = Buffer.concat([encodeRecord(text('first')), Buffer.alloc(500)]);
    assert.deepEqual(
      scanRecords(file).damage.map(({ reason }) => reason),
      ['torn'],
    );
  });

  it('of a release that is not known are kept apart, whole', () => {
    const foreign = { kind: 'voice', call: 1 } as unknown as Entry;
    const { found, damage } = scanRecords(fileOf([text('first'), foreign, text('second')]));
    assert.equal(found.length, 2);
    assert.deepEqual(damage, [
      {
        at: encodeRecord(text('first')).length,
        end: encodeRecord(text('first')).length + encodeRecord(foreign).length,
        reason: 'unknown',
      },
    ]);
  });
});
