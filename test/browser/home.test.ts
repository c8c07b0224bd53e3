// Home in a real browser: what it says is what happened, as it happens, and every number leads to what it counts.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { formatAddress } from '../../console/parts/format-address.ts';
import type { Overview } from '../../src/http/contract.ts';
import { answerCalls, assertAccessible, breakCalls, expectProblem, NARROW, type Page } from '../support/browser.ts';
import { openConsole } from '../support/console.ts';
import { signIn } from '../support/operator.ts';
import { until } from '../support/until.ts';
import { type Line, startWorld, type World } from '../support/world.ts';

/** The lines of a figure: its label, its number, what stands below. */
const figure = (page: Page, label: string) => page.getByRole('link', { name: new RegExp(`^${label} `) });
const says = async (page: Page, label: string) => (await figure(page, label).innerText()).split('\n');
const nameOf = ({ phone }: { readonly phone: string }) => phone;
const headline = (page: Page) => page.getByRole('heading', { level: 1 });
/** A test's database has numbers for many tests, most of which no agent is behind. */
const switchOffOthers = (world: World, { number }: Line) =>
  world.sql`update phone_numbers set is_active = false where address <> ${number}`;
/** The newest first; the columns as they are headed. */
const tableRows = (page: Page) => page.getByRole('region', { name: 'Numbers of the charts' }).locator('tbody tr');

describe('home', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  test('before the first text it says how to send one, and the first text replaces that', async (t) => {
    const page = await openConsole(t, world);
    await page.getByRole('heading', { name: 'Send the first text' }).waitFor();
    await page.getByText('Twilio is the carrier: a text to the number arrives here').waitFor();
    const { call } = await signIn(world);
    await answerCalls(page, '/v1/instance', { ...(await call('GET', '/v1/instance')).json, carrier: 'simulator' });
    await page.reload();
    await page.getByRole('heading', { name: 'Send the first text' }).waitFor();
    await assertAccessible(page);
    await page.getByRole('button', { name: 'Copy the command' }).first().click();
    assert.equal(await page.evaluate('navigator.clipboard.readText()'), 'npx darkspere text "hello"');
    assert.equal(await page.getByRole('link', { name: 'Open the phone' }).getAttribute('href'), '/phone');

    const line = await world.line();
    await line.agent(({ message }) => `you said ${message}`);
    await line.person().text('the first one');
    await figure(page, 'Texts in').waitFor();
    await until(async () => (await says(page, 'Texts in'))[1] === '1', { what: 'the first text', timeoutMs: 20_000 });
  });
});

describe('the figures', () => {
  let world: World;
  let line: Line;
  before(async () => {
    world = await startWorld();
    line = await world.line();
    await switchOffOthers(world, line);
    await line.agent(({ message }) => (message === 'fail' ? { status: 500 } : `you said ${message}`), {
      name: 'parrot',
    });
  });
  after(() => world.stop());

  async function overview(): Promise<Overview> {
    const { call } = await signIn(world);
    return (await call('GET', '/v1/overview')).json as Overview;
  }

  test('are what was texted, move without anybody touching them, and lead to the lists behind them', async (t) => {
    const page = await openConsole(t, world);
    const ann = line.person();
    await ann.text('one');
    await ann.next();
    await ann.text('two');
    await ann.next();
    const ben = line.person();
    world.simulator.faults.set({ failWith: { code: 30_007, count: 1 } });
    await ben.text('three');
    await Promise.all([line.story(ann), line.story(ben)]);
    const eve = line.person();
    await eve.text('fail');
    await line.story(eve);
    // The carrier says 500 to his: whether it took it is found out later.
    const dan = line.person();
    world.simulator.faults.set({ http500BeforeAccept: { count: 1_000, match: { to: dan.phone } } });
    await dan.text('four');

    const now = async () => ({
      in: (await says(page, 'Texts in'))[1],
      out: (await says(page, 'Texts out'))[1],
      answered: await says(page, 'Answered'),
      failed: (await says(page, 'Not delivered'))[1],
      waiting: await says(page, 'Waiting now'),
      unknown: (await says(page, 'Unknown'))[1],
    });
    const expected = {
      in: '5',
      out: '5',
      answered: ['Answered', '80 %', '1 fell back'],
      failed: '1',
      waiting: ['Waiting now', '0', 'nobody waits'],
      unknown: '1',
    };
    await until(async () => JSON.stringify(await now()) === JSON.stringify(expected), {
      what: 'the figures on the page',
      timeoutMs: 20_000,
    }).catch(async () => assert.deepEqual(await now(), expected));
    const times = (await overview()).time_to_answer_ms!;
    assert.ok(times.p50 > 0 && times.p50 <= times.p95 && times.p95 <= times.p99);

    // The charts' numbers are there to be read, and add up to the figures.
    await page.getByText('The same as a table').click();
    const cells = await page.evaluate<string[][]>(CELLS);
    const column = (n: number) => cells.reduce((sum, row) => sum + Number(row[n]), 0);
    assert.deepEqual([column(0), column(1), column(2), column(3)], [5, 5, 1, 1]);

    // One fell back and one did not arrive: the sentence says it, and leads there.
    assert.equal(await headline(page).innerText(), 'Not every text found an answer');
    await page.getByRole('link', { name: 'See which' }).first().click();
    await page.waitForURL('/conversations?state=fell_back&since=1h');
    await page.goBack();
    // What is well by now is in the list of what was not.
    for (const person of [ben, eve]) {
      await person.text('again');
      await person.next();
    }
    const everybody = [ann, ben, eve, dan];
    for (const [label, path, people] of [
      ['Texts in', '/conversations?since=1h', everybody],
      ['Texts out', '/conversations?since=1h', everybody],
      ['Answered', '/conversations?state=fell_back&since=1h', [eve]],
      ['Waiting now', '/conversations?state=waiting', []],
      ['Not delivered', '/conversations?state=undelivered&since=1h', [ben]],
      ['Unknown', '/conversations?state=unknown&since=1h', [dan]],
    ] as const) {
      await figure(page, label).click();
      await page.waitForURL(path);
      const shown = async () => {
        const rows = await page.getByRole('list', { name: 'Conversations' }).getByRole('listitem').allInnerTexts();
        return everybody.filter(({ phone }) => rows.some((row) => row.includes(formatAddress(phone)))).map(nameOf);
      };
      await until(async () => String(await shown()) === String(people.map(nameOf)), {
        what: `the people of ${label}`,
      }).catch(async () => assert.deepEqual(await shown(), people.map(nameOf), label));
      await page.goBack();
    }

    // Each part of the filter can be taken away.
    await page.goto('/conversations?state=undelivered&since=24h');
    await page.getByRole('button', { name: 'State: Not delivered' }).click();
    await page.getByRole('menuitemradio', { name: 'Any state' }).click();
    await page.waitForURL('/conversations?since=24h');
    await page.getByRole('button', { name: 'Time: Last 24 hours' }).click();
    await page.getByRole('menuitemradio', { name: 'Any time' }).click();
    await page.waitForURL('/conversations');
    await page.goto('/');
    const parrot = page.getByRole('row', { name: /parrot/ });
    // Of the calls that it takes at once: it has sessions, and no call under way.
    await until(async () => /^0 of \d+$/.test(await parrot.getByRole('cell').nth(3).innerText()), {
      what: 'the calls under way',
    });
    await parrot.getByRole('link', { name: 'parrot' }).click();
    await page.waitForURL(/\/agents\/[0-9a-f-]{36}$/);
    await page.getByRole('heading', { name: 'parrot', level: 1 }).waitFor();
    await page.getByRole('link', { name: /^Sessions/ }).click();
    await page.waitForURL(/\/agents\/[0-9a-f-]{36}#sessions-title$/);
    const sessions = page.getByRole('list', { name: 'Sessions' });
    await sessions.getByRole('link').first().waitFor();
    const box = await sessions.boundingBox();
    assert.ok(box !== null && box.y < (page.viewportSize()?.height ?? 0), 'it is not scrolled to');
  });

  test('the window lives in the URL, and the back button undoes it', async (t) => {
    const page = await openConsole(t, world);
    await page.getByText('The same as a table').click();
    assert.equal(await tableRows(page).count(), 60);
    await page.getByRole('link', { name: '24 hours' }).click();
    await page.waitForURL('/?window=24h');
    await until(async () => (await tableRows(page).count()) === 96, { what: 'a day in the table' });
    assert.equal(await page.getByRole('link', { name: '24 hours' }).getAttribute('aria-current'), 'true');
    await page.goBack();
    await page.waitForURL('/');
    await until(async () => (await tableRows(page).count()) === 60, { what: 'an hour in the table' });
    await page.goto('/?window=24h');
    await page.getByText('The same as a table').click();
    assert.equal(await tableRows(page).count(), 96);
  });

  test('hovering says them exactly', async (t) => {
    const page = await openConsole(t, world);
    const many: Overview = { ...(await overview()), texts_in: 1_234_567, texts_out: 99_999 };
    await answerCalls(page, '/v1/overview', many);
    await page.reload();
    assert.deepEqual((await says(page, 'Texts in')).slice(0, 2), ['Texts in', '1.23M']);
    assert.equal(await figure(page, 'Texts in').getAttribute('title'), '1,234,567 texts in');
    assert.equal((await says(page, 'Texts out'))[1], '99,999');
  });
});

describe('home, when something is wrong', () => {
  let world: World;
  let line: Line;
  let bad: Overview;
  before(async () => {
    world = await startWorld();
    line = await world.line();
    await switchOffOthers(world, line);
    const agent = await line.agent(() => 'hello', { name: 'parrot' });
    const person = line.person();
    await person.text('hello');
    await person.next();
    const { call } = await signIn(world);
    const well = (await call('GET', '/v1/overview')).json as Overview;
    assert.equal(agent.heard().length, 1);
    const [parrot] = well.agents;
    bad = {
      ...well,
      waiting: {
        texts: 12,
        conversations: 7,
        oldest_ms: 400_000,
        deferred: 0,
        with_operator: { texts: 0, conversations: 0, oldest_ms: null },
      },
      turns: { replied: 20, fell_back: 9, other: 0 },
      answered_share: 20 / 29,
      parts: { delivered: 20, failed: 6, under_way: 4, unknown: 2 },
      agents: [
        parrot!,
        { ...parrot!, id: crypto.randomUUID(), name: 'owl', status: 'disabled', consecutive_failures: 5 },
      ],
    };
  });
  after(() => world.stop());

  test('a page that could not be read shows no number, says why, and tries again', async (t) => {
    const page = await openConsole(t, world);
    const mend = await breakCalls(page, '/v1/overview');
    await page.reload();
    const alert = page.getByRole('alert');
    assert.match(await alert.innerText(), /The gateway does not answer/);
    assert.equal(await figure(page, 'Texts in').count(), 0);
    await assertAccessible(page);
    await mend(alert.getByRole('button', { name: 'Try again' }));
    await figure(page, 'Texts in').waitFor();
  });

  test('what could not be read again stays, marked as old', async (t) => {
    const page = await openConsole(t, world);
    await figure(page, 'Texts in').waitFor();
    const before = await says(page, 'Texts in');
    const mend = await breakCalls(page, '/v1/overview');
    await line.person().text('something happens');
    await page.getByRole('alert').filter({ hasText: 'Not up to date' }).waitFor();
    assert.deepEqual(await says(page, 'Texts in'), before);
    await assertAccessible(page);
    await mend(page.getByRole('button', { name: 'Try again' }));
    await page.getByRole('alert').waitFor({ state: 'detached' });
  });

  test('without the charts the figures and the agents are there, and the charts can be asked for again', async (t) => {
    const page = await openConsole(t, world);
    expectProblem(page, 'charts-', 'ERR_FAILED');
    const isCharts = /\/assets\/charts-.*\.js$/;
    await page.route(isCharts, (route) => route.abort('failed'));
    await page.reload();
    await page.getByText('The charts could not be loaded.').waitFor();
    await figure(page, 'Texts in').waitFor();
    await page.getByRole('row', { name: /parrot/ }).waitFor();
    await page.unroute(isCharts);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.locator('canvas').first().waitFor();
  });

  test('the charts are drawn in a browser that names no language that there is', async (t) => {
    const page = await openConsole(t, world);
    await page.addInitScript(`Object.defineProperty(Navigator.prototype, 'language', { get: () => 'en-US@posix' })`);
    await page.reload();
    await page.locator('canvas').first().waitFor();
  });

  test('it says the worst first, marks the figures in question, and is accessible in both themes', async (t) => {
    const page = await openConsole(t, world);
    await answerCalls(page, '/v1/overview', bad);
    await page.reload();
    await until(async () => (await headline(page).innerText()) === 'Texts are not being answered', {
      what: 'the headline',
    });
    const others = page.getByRole('list', { name: 'What else is not well' }).getByRole('listitem');
    assert.deepEqual(await others.allInnerTexts(), [
      '9 turns of 29 ended without an answer; people who text are told that nobody can answer, once an hour at most. See which',
      '6 of 30 parts of what went out were not delivered. See which',
      'owl does not answer; the others take over. See the agents',
    ]);
    const first = page.getByRole('table').last().locator('tbody tr').first();
    assert.match(await first.innerText(), /owl[\s\S]*Down/);
    await page.locator('canvas').first().waitFor();
    await assertAccessible(page);
    await page.setViewportSize(NARROW);
    await assertAccessible(page);
    assert.ok((await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')) <= 0);
    await until(() => page.evaluate<boolean>(CHARTS_FIT), { what: 'charts as narrow as the window' });
  });

  test('the charts follow the theme, of the system and as it was chosen', async (t) => {
    const page = await openConsole(t, world, { colorScheme: 'light' });
    await page.locator('canvas').first().waitFor();
    const light = await ink(page);
    await page.emulateMedia({ colorScheme: 'dark' });
    await until(async () => (await ink(page)) !== light, { what: 'another ink' });
    await page.getByRole('button', { name: 'You and this console' }).filter({ visible: true }).click();
    await page.getByRole('menuitemradio', { name: 'Light' }).click();
    await until(async () => (await ink(page)) === light, { what: 'the first ink' });
  });
});

const CHARTS_FIT = `[...document.querySelectorAll('canvas')].every((canvas) => canvas.getBoundingClientRect().right <= innerWidth)`;
const CELLS = `[...document.querySelectorAll('details tbody tr')].map((row) =>
  [...row.querySelectorAll('td')].map((cell) => cell.textContent))`;

/** The darkness of what is drawn: of the words at the axes most of all. */
function ink(page: Page): Promise<number> {
  return page.evaluate<number>(`(() => {
    const canvas = document.querySelector('canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let sum = 0;
    let seen = 0;
    for (let n = 0; n < data.length; n += 4) {
      if (data[n + 3] < 200) continue;
      sum += data[n] + data[n + 1] + data[n + 2];
      seen += 1;
    }
    return Math.round(sum / seen);
  })()`);
}
