// The spool on a real file system, without a database.
import assert from 'node:assert/strict';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { pino } from 'pino';
import { createMetrics } from '../../observability/metrics.ts';
import { type Entry, openSpool, type Spool } from './spool.ts';

let directory: string;
let log: string[];
const open: Spool[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'darkspere-spool-'));
  log = [];
});
afterEach(async () => {
  for (const spool of open.splice(0)) await spool.close();
  await rm(directory, { recursive: true, force: true });
});

async function start(maxBytes = 1024 * 1024 * 1024): Promise<Spool> {
  const logger = pino({ level: 'debug', base: null }, { write: (line: string) => void log.push(line) });
  const spool = await openSpool({ directory, maxBytes, logger, metrics: createMetrics() });
  open.push(spool);
  return spool;
}

/** As a process that is gone: its folders belong to nobody who lives. */
async function abandon(spool: Spool): Promise<void> {
  open.splice(open.indexOf(spool), 1);
  await spool.close();
}

const text = (words: string, from = '+15550000001'): Extract<Entry, { kind: 'text' }> => ({
  kind: 'text',
  text: { channel: 'sms', providerId: words, from, to: '+15550000002', text: words, media: [], optOutHandled: null },
});

/** A text of somebody of whom nothing waits. */
const newcomer = text('hello', '+15550000009').text;

/** Everything it holds, in the order of draining; the spool is empty afterwards. */
async function drain(spool: Spool): Promise<string[]> {
  const words: string[] = [];
  for (let segment = await spool.next(); segment !== null; segment = await spool.next()) {
    const content = await spool.read(segment, true);
    if (content === null) continue;
    for (const { entry } of content.found) words.push(entry.kind === 'text' ? entry.text.text : 'status');
    await spool.remove(segment);
  }
  return words;
}

async function files(extension: string): Promise<string[]> {
  const all = await readdir(directory, { recursive: true });
  return all.filter((name) => name.endsWith(extension)).map((name) => join(directory, name));
}

describe('the spool', () => {
  it('goes on behind a file that cannot be read, which stays where it is', async () => {
    const first = await start();
    await first.keep(text('one'));
    await abandon(first);
    const [file] = await files('.spool');
    const second = await start();
    await second.keep(text('two', '+15550000003'));
    // Adopted whole, and gone bad since.
    const path = (await second.next())!.path;
    await rename(path, `${path}.good`);
    await mkdir(path);
    for (let n = 1; n < 20; n++) await assert.rejects(second.read((await second.next())!, true));
    assert.equal(await second.read((await second.next())!, true), null);
    assert.deepEqual(await drain(second), ['two']);
    assert.equal(second.records, 0);
    assert.equal(second.holds(text('three').text), false);
    assert.ok((await stat(path)).isDirectory(), `${file} was removed`);
    assert.match(log.join(''), /cannot be read/);
  });

  it('takes in what can be read of a folder in which something cannot be', async () => {
    const first = await start();
    await first.keep(text('one'));
    await abandon(first);
    const [file] = await files('.spool');
    await mkdir(join(file!, '..', '1.spool'));
    assert.deepEqual(await drain(await start()), ['one']);
  });

  it('takes over what others have left beside what cannot be taken in, and that as soon as it can be', async () => {
    const first = await start();
    await first.keep(text('early'));
    await abandon(first);
    const [early] = (await readdir(directory)).filter((name) => name.includes('@'));
    await rename(join(directory, early!), join(directory, 'elsewhere'));
    const other = await start();
    await other.keep(text('one'));
    await abandon(other);
    // A link that leads to itself: the folder is there, and the disk does not give what is in it.
    await symlink('loop', join(directory, 'loop'));
    await symlink('loop', join(directory, early!));
    const spool = await start();
    assert.deepEqual(await drain(spool), ['one']);
    assert.ok(spool.holds(newcomer), 'it would overtake what may be there');
    await rm(join(directory, 'loop'));
    await symlink('elsewhere', join(directory, 'loop'));
    await spool.adopt();
    assert.deepEqual(await drain(spool), ['early']);
    assert.ok(!spool.holds(newcomer));
  });

  it('waits for what cannot be taken in until it is given up', async () => {
    await symlink('loop', join(directory, 'loop'));
    const first = await start();
    await first.keep(text('early'));
    await abandon(first);
    const [early] = (await readdir(directory)).filter((name) => name.includes('@'));
    await rm(join(directory, early!), { recursive: true });
    await symlink('loop', join(directory, early!));
    const spool = await start();
    let looks = 1;
    while (spool.holds(newcomer) && looks < 100) {
      await spool.adopt();
      looks += 1;
    }
    assert.equal(looks, 20);
  });

  it('takes in a file that could not be read as soon as it can be', async () => {
    const first = await start();
    for (const words of ['one', 'two']) await first.keep(text(words));
    await abandon(first);
    const [file] = await files('.spool');
    await rename(file!, `${file}.good`);
    await mkdir(file!);
    const spool = await start();
    assert.deepEqual(await drain(spool), []);
    const [bad] = await files('.spool');
    await rmdir(bad!);
    await rename(`${bad}.good`, bad!);
    await spool.adopt();
    await spool.adopt();
    assert.deepEqual(await drain(spool), ['one', 'two']);
  });

  it('keeps a file of its own of which the disk does not say whether it is there', async () => {
    const spool = await start();
    await spool.keep(text('one'));
    const [file] = await files('.spool');
    await rename(file!, `${file}.moved`);
    await symlink(file!, file!);
    await assert.rejects(spool.keep(text('refused')), { code: 'storage_unavailable' });
    assert.equal(spool.records, 1);
    await rename(`${file}.moved`, file!);
    await spool.keep(text('two'));
    assert.deepEqual(await drain(spool), ['one', 'two']);
  });

  it('drains what is whole when nothing can be put aside, and keeps the damaged file', async () => {
    await writeFile(join(directory, 'aside'), 'in the way');
    const first = await start();
    await first.keep(text('one'));
    await first.keep(text('two'));
    await abandon(first);
    const [file] = await files('.spool');
    const bytes = await readFile(file!);
    bytes[bytes.length >> 2]! ^= 1;
    await writeFile(file!, bytes);
    assert.deepEqual(await drain(await start()), ['two']);
    assert.equal((await files('.spool.aside')).length, 1);
  });

  it('drains a file with a torn end when nothing can be put aside', async () => {
    await writeFile(join(directory, 'aside'), 'in the way');
    const first = await start();
    await first.keep(text('one'));
    await first.keep(text('two'));
    await abandon(first);
    const [file] = await files('.spool');
    await truncate(file!, (await stat(file!)).size - 3);
    assert.deepEqual(await drain(await start()), ['one']);
    assert.deepEqual(await files('.spool'), []);
  });

  it('gives newer texts later names than those that were taken in, whatever the clock says', async () => {
    const first = await start();
    await first.keep(text('one'));
    await abandon(first);
    const [file] = await files('.spool');
    const later = Date.now() + 3_600_000;
    await rename(file!, join(file!, '..', `${later}.spool`));
    const second = await start();
    await second.keep(text('two'));
    await abandon(second);
    assert.deepEqual(await drain(await start()), ['one', 'two']);
  });

  it('gives back what it was given, in order, and knows whose texts wait', async () => {
    const spool = await start();
    assert.equal(spool.holds(text('x').text), false);
    const kept = ['1', '2', '3'].map((words) => spool.keep(text(words)));
    assert.equal(spool.holds(text('x').text), true, 'while it is being written');
    await Promise.all(kept);
    assert.equal(spool.records, 3);
    assert.equal(spool.holds(text('x', '+15550000009').text), false);
    assert.deepEqual(await drain(spool), ['1', '2', '3']);
    assert.deepEqual([spool.records, spool.bytes, spool.holds(text('x').text)], [0, 0, false]);
    assert.deepEqual(await files('.spool'), []);
  });

  it('keeps order over many files', async () => {
    const spool = await start();
    const words = Array.from({ length: 400 }, (_, n) => `${n} ${'x'.repeat(10_000)}`);
    for (let at = 0; at < 400; at += 40) {
      await Promise.all(words.slice(at, at + 40).map((each) => spool.keep(text(each))));
    }
    await spool.keep(text('last'));
    assert.ok((await files('.spool')).length > 2);
    assert.deepEqual(await drain(spool), [...words, 'last']);
  });

  it('is private', async () => {
    const spool = await start();
    await spool.keep(text('secret'));
    const folders = (await readdir(directory))
      .filter((name) => name.includes('@'))
      .map((name) => join(directory, name));
    for (const path of folders) assert.equal((await stat(path)).mode & 0o777, 0o700);
    for (const path of [...(await files('.spool')), ...(await files('.owner'))])
      assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal(folders.length, 1);
  });

  it('refuses what would exceed its size, and takes it again after draining', async () => {
    const spool = await start(4_000);
    await spool.keep(text('a'.repeat(1_000)));
    await assert.rejects(spool.keep(text('b'.repeat(1_000))), { code: 'storage_unavailable', message: /full/ });
    assert.equal(spool.records, 1);
    assert.equal((await drain(spool)).length, 1);
    await spool.keep(text('b'.repeat(1_000)));
  });

  it('leaves what waits to the next one', async () => {
    const first = await start();
    await first.keep(text('1'));
    await first.keep(text('2'));
    await abandon(first);
    const second = await start();
    assert.equal(second.records, 2);
    assert.equal(second.holds(text('x').text), true);
    await second.keep(text('3'));
    assert.deepEqual(await drain(second), ['1', '2', '3']);
  });

  it('that is taken over while its owner was suspended is not written any more', async () => {
    const spool = await start();
    await spool.keep(text('before'));
    const [folder] = (await readdir(directory)).filter((name) => name.includes('@'));
    const taken = `${folder!.split('@')[0]}@somebody-else`;
    await rename(join(directory, folder!), join(directory, taken));
    const [file] = await files('.spool');
    const before = await readFile(file!);
    await spool.keep(text('after'));
    // What the other one finds may have the new record too, which is a duplicate; ours must be in a file of our own.
    assert.equal(spool.records, 1);
    assert.equal((await readFile(file!)).subarray(0, before.length).equals(before), true);
    await writeFile(join(directory, 'somebody-else.owner'), '1 elsewhere');
    assert.deepEqual(await drain(spool), ['after']);
    assert.deepEqual((await readdir(join(directory, taken))).length, 1);
  });

  it('gives up a file that another one has taken over before it was drained', async () => {
    const spool = await start();
    await spool.keep(text('1'));
    const segment = await spool.next();
    await rm(segment!.path);
    assert.equal(await spool.read(segment!, true), null);
    assert.equal(spool.records, 0);
  });

  it('works on when its directory was removed under it', async () => {
    const spool = await start();
    await spool.keep(text('gone'));
    await rm(directory, { recursive: true });
    await spool.keep(text('kept'));
    assert.deepEqual(await drain(spool), ['kept']);
  });

  it('puts aside what is damaged, says so, and gives what stands before and behind', async () => {
    const first = await start();
    for (const words of ['1', '2', '3']) await first.keep(text(words));
    await abandon(first);
    const [path] = await files('.spool');
    const bytes = await readFile(path!);
    bytes[Math.floor(bytes.length / 2)]! ^= 0xff;
    await writeFile(path!, bytes);
    const second = await start();
    assert.deepEqual(await drain(second), ['1', '3']);
    const aside = await readdir(join(directory, 'aside'));
    assert.equal(aside.length, 1);
    const kept = await readFile(join(directory, 'aside', aside[0]!));
    assert.ok(bytes.includes(kept) && kept.length > 100);
    assert.equal((await stat(join(directory, 'aside', aside[0]!))).mode & 0o777, 0o600);
    assert.ok(log.some((line) => line.includes('"level":50') && line.includes('is damaged')));
  });

  it('cuts off a record that a crash has torn, and says so', async () => {
    const first = await start();
    for (const words of ['1', '2', '3']) await first.keep(text(words));
    await abandon(first);
    const [path] = await files('.spool');
    await truncate(path!, (await stat(path!)).size - 5);
    const second = await start();
    assert.deepEqual(await drain(second), ['1', '2']);
    assert.ok(log.some((line) => line.includes('"level":40') && line.includes('ends within a record')));
  });

  it('of somebody who may be alive is left alone until that is known', async () => {
    const other = await start();
    await other.keep(text('theirs'));
    const mine = await start();
    assert.equal(mine.isDecided, false);
    assert.equal(mine.holds(text('x').text), true, 'an older text may be in the other one');
    await mine.adopt();
    assert.equal(mine.records, 0);
    assert.deepEqual(await drain(other), ['theirs']);
  });

  it('of a process that is not there any more is taken over at once', async () => {
    const first = await start();
    await first.keep(text('1'));
    await abandon(first);
    const { place } = await import('../../database/embedded/owner-beat.ts');
    const [folder] = (await readdir(directory)).filter((name) => name.includes('@'));
    // Above the largest process id that Linux gives.
    await writeFile(join(directory, `${folder!.split('@')[1]}.owner`), `4194305 ${place()}`);
    await writeFile(join(directory, 'one-that-had-nothing.owner'), `4194305 ${place()}`);
    const second = await start();
    assert.equal(second.isDecided, true);
    assert.deepEqual(await drain(second), ['1']);
    assert.equal((await files('.owner')).length, 1);
  });

  it('cannot be opened where nothing can be written', async () => {
    await writeFile(join(directory, 'file'), '');
    directory = join(directory, 'file');
    await assert.rejects(start(), (error: { code: string; message: string }) => {
      assert.equal(error.code, 'spool_unusable');
      assert.match(error.message, /DARKSPERE_SPOOL_DIR/);
      return true;
    });
    await rm(directory);
  });
});
