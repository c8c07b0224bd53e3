// The stream behind the console: whether the chip tells the truth about it, and whether a cut loses anything.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { expectProblem, type Page } from '../support/browser.ts';
import { openConsole } from '../support/console.ts';
import { startProxy, type Wire } from '../support/proxy.ts';
import { until } from '../support/until.ts';
import { type Line, startWorld, type World } from '../support/world.ts';

const chip = (page: Page, word: string) => page.getByRole('status').filter({ hasText: word, visible: true });
const figure = (page: Page, label: string) => page.getByRole('link', { name: new RegExp(`^${label} `) });
/** Of that many people, each with a text of their own. */
const CHANGES = 1_000;
const AT_ONCE = 8;

describe('the stream', () => {
  let world: World;
  let line: Line;
  before(async () => {
    world = await startWorld();
    line = await world.line();
    await line.agent(({ message }) => `you said ${message}`);
    await line.person().text('the first one');
  });
  after(() => world.stop());

  async function wireTo(t: { after(done: () => Promise<void>): void }): Promise<Wire> {
    const wire = await startProxy({ host: '127.0.0.1', port: Number(new URL(world.urls.gateway!).port) });
    t.after(() => wire.down());
    return wire;
  }

  test('the chip says live, cut and silent as it is, and live again when it is', async (t) => {
    const wire = await wireTo(t);
    const page = await openConsole(t, world, { through: wire.port });
    expectProblem(page, 'net::ERR_');
    await page.clock.install();
    await page.reload();
    await chip(page, 'Live').waitFor();

    await wire.down();
    await chip(page, 'Reconnecting').waitFor();
    await wire.up();
    await chip(page, 'Live').waitFor();

    wire.fallSilent();
    // Two beats are missing now, as the page counts.
    await page.clock.fastForward(11_500);
    await chip(page, 'Stale').waitFor();
    wire.speak();
    await chip(page, 'Live').waitFor();
  });

  test('paused it holds the page still and counts what it holds back; going on brings all of it', async (t) => {
    const page = await openConsole(t, world);
    await chip(page, 'Live').waitFor();
    const person = line.person();
    const before = await figure(page, 'Texts in').innerText();
    await page.keyboard.press('z');
    await chip(page, 'Paused').waitFor();
    await person.text('while nobody wants to see it');
    await person.next();
    await chip(page, 'new').waitFor();
    assert.equal(await figure(page, 'Texts in').innerText(), before);
    await page.keyboard.press('z');
    await chip(page, 'Live').waitFor();
    await until(async () => (await figure(page, 'Texts in').innerText()) !== before, { what: 'the held text' });
  });

  test('a stream that is cut before it told of anything misses nothing either', async (t) => {
    const wire = await wireTo(t);
    const other = await openConsole(t, world);
    await chip(other, 'Live').waitFor();
    const page = await openConsole(t, world, { through: wire.port, path: '/conversations' });
    expectProblem(page, 'net::ERR_');
    await chip(page, 'Live').waitFor();
    await wire.down();
    await chip(page, 'Reconnecting').waitFor();
    const person = line.person();
    await person.text('said while nobody could hear');
    await person.next();
    await wire.up();
    await page.getByRole('list', { name: 'Conversations' }).getByText('said while nobody could hear').waitFor();
  });

  test(`a stream that is cut again and again misses none of ${CHANGES.toLocaleString('en')} changes`, async (t) => {
    const wire = await wireTo(t);
    const page = await openConsole(t, world, { through: wire.port });
    expectProblem(page, 'net::ERR_');
    await page.addInitScript(RECORD);
    await page.reload();
    await chip(page, 'Live').waitFor();
    // A feed that nobody watched before needs a moment, and says so: what counts comes after it.
    const probe = line.person();
    await until(
      async () => {
        await probe.text('is it on?');
        return (await heard(page)).some((event) => event.startsWith('change'));
      },
      { what: 'the first change', intervalMs: 500 },
    );
    const [from] = await Promise.all([heard(page).then(({ length }) => length), line.story(probe)]);

    const people = Array.from({ length: CHANGES }, () => line.person());
    const waiting = people.values();
    let sent = 0;
    await Promise.all([
      ...Array.from({ length: AT_ONCE }, async () => {
        for (const person of waiting) {
          // A busy machine may say 503, and carriers try again.
          await until(async () => (await person.text('hello')).status === 200, { what: 'a text that is taken' });
          sent += 1;
        }
      }),
      (async () => {
        for (const at of [0.2, 0.4, 0.6, 0.8]) {
          await until(() => sent > at * CHANGES, { what: `${at} of the texts`, timeoutMs: 60_000 });
          wire.dropConnections();
        }
      })(),
    ]);
    const ids = new Set(
      (
        await world.sql<{ id: string }[]>`
          select id from conversations where their_address = any (${people.map(({ phone }) => phone)})`
      ).map(({ id }) => id),
    );
    assert.equal(ids.size, CHANGES);
    const { length: cuts } = (await heard(page)).filter((event) => event === 'cut');
    assert.ok(cuts > 0, 'the stream was not cut');
    const missing = new Set(ids);
    await until(
      async () => {
        for (const event of (await heard(page)).slice(from)) {
          if (event.startsWith('change')) missing.delete(JSON.parse(event.slice('change '.length)).conversation_id);
        }
        return missing.size === 0;
      },
      { what: 'every change', timeoutMs: 30_000, intervalMs: 200 },
    );
    // Nor did it have to give up and read everything anew.
    assert.deepEqual(
      (await heard(page)).slice(from).filter((event) => event.startsWith('reset')),
      [],
    );
    const [{ n }] = (await world.sql`select count(*)::int as n from messages where direction = 'in'`) as [
      { n: number },
    ];
    await until(async () => (await figure(page, 'Texts in').innerText()).includes(`\n${n.toLocaleString('en')}\n`), {
      what: `${n} texts on the page`,
      timeoutMs: 30_000,
    });
  });
});

/** Keeps what the page's stream says, as the page hears it. */
const RECORD = `
  window.heard = [];
  const Original = EventSource;
  window.EventSource = class extends Original {
    constructor(...given) {
      super(...given);
      for (const type of ['change', 'reset']) this.addEventListener(type, ({ data }) => heard.push(type + ' ' + data));
      this.addEventListener('error', () => heard.push('cut'));
    }
  };`;

function heard(page: Page): Promise<string[]> {
  return page.evaluate<string[]>('heard');
}
