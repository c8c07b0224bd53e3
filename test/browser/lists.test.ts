// The list of conversations and what leads to it, in a real browser: it shows what is so.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Overview } from '../../src/http/contract.ts';
import { OURS } from '../support/bridge.ts';
import { answerCalls, assertAccessible, breakCalls, type Page } from '../support/browser.ts';
import { openConsole } from '../support/console.ts';
import { inboxOf } from '../support/inbox.ts';
import { isAt, row, rows } from '../support/list-page.ts';
import { type Caller, signIn } from '../support/operator.ts';
import { until } from '../support/until.ts';
import { type Line, startWorld, type World } from '../support/world.ts';

const figure = (page: Page, label: string) => page.getByRole('link', { name: new RegExp(`^${label} `) });

describe('what waits for an operator', () => {
  let world: World;
  let line: Line;
  let call: Caller;
  before(async () => {
    world = await startWorld();
    line = await world.line();
    await world.sql`update phone_numbers set is_active = false where address <> ${line.number}`;
    await line.agent(() => 'fine');
    ({ call } = await signIn(world));
  });
  after(() => world.stop());

  test('is counted on home, which leads there, and marked in the list, from the first text on', async (t) => {
    const person = line.person();
    await person.text('hello');
    await person.next();
    const { conversation } = await line.story(person);
    const path = `/v1/conversations/${conversation.id}`;
    assert.equal((await call('POST', `${path}/takeover`)).status, 200);
    assert.equal((await call('POST', `${path}/messages`, { text: 'A person here.' })).status, 201);
    await person.next();
    await person.text('and now?');

    const page = await openConsole(t, world);
    await until(async () => (await figure(page, 'Waiting now').innerText()) === 'Waiting now\n1\nfor an operator', {
      what: 'the text that waits',
      timeoutMs: 20_000,
    });
    await figure(page, 'Waiting now').click();
    await isAt(page, '/conversations?state=taken_over');
    await row(page, person.phone).getByText('1 waits').waitFor();

    // Some minutes later.
    const well = (await call('GET', '/v1/overview')).json as Overview;
    const { with_operator } = well.waiting;
    assert.deepEqual([with_operator.texts, with_operator.conversations], [1, 1]);
    const later = { ...well.waiting, with_operator: { ...with_operator, oldest_ms: 240_000 } };
    await answerCalls(page, '/v1/overview', { ...well, waiting: later });
    await page.goto('/');
    await page.getByRole('heading', { name: 'A text waits for an operator', level: 1 }).waitFor();
    await page.getByRole('link', { name: 'See what is taken over' }).click();
    await isAt(page, '/conversations?state=taken_over');
  });
});

describe('the list', () => {
  let world: World;
  let line: Line;
  before(async () => {
    world = await startWorld();
    line = await world.line();
    await line.agent(({ message }) => `you said ${message}`);
  });
  after(() => world.stop());

  test('shows what is so to who comes back to it, however short they were away', async (t) => {
    const person = line.person();
    await person.text('one');
    await line.story(person);
    const page = await openConsole(t, world);
    // However slow the machine is: nothing of it was read long ago.
    await page.clock.setFixedTime(new Date());
    await page.goto('/conversations');
    await row(page, person.phone).getByText('you said one').waitFor();
    await page.getByRole('link', { name: 'Home', exact: true }).click();
    await page.waitForURL('/');
    await person.text('two');
    await line.story(person);
    // All that the stream has to tell of it has been told.
    await figure(page, 'Texts out').getByText('2 parts delivered').waitFor();
    await page.getByRole('link', { name: 'Conversations' }).click();
    await row(page, person.phone).getByText('you said two').waitFor();
  });

  test('that somebody paused shows all that changed when they go on, far below too', async (t) => {
    const inbox = inboxOf(world.database);
    const ids: string[] = [];
    for (let n = 0; n < 70; n++) ids.push(await inbox.conversation());
    await inbox.say(ids.map((conversation, n) => ({ conversation, minutes: 5 + n })));
    const last = ids.at(-1)!;
    const page = await openConsole(t, world, { path: '/conversations' });
    const bottom = page.locator(`a[href="/conversations/${last}"]`);
    await until(
      async () => {
        await page.evaluate(TO_THE_END);
        return bottom.isVisible();
      },
      { what: 'the last row', intervalMs: 100 },
    );
    assert.equal(await bottom.getByText('By hand').count(), 0);
    await page.keyboard.press('z');
    const { call } = await signIn(world);
    assert.equal((await call('POST', `/v1/conversations/${last}/takeover`)).status, 200);
    await page.getByRole('status').filter({ hasText: '1 new', visible: true }).waitFor();
    await page.keyboard.press('z');
    await bottom.getByText('By hand').waitFor();
  });

  test('that is paused is not read again because somebody comes back to the window', async (t) => {
    const person = line.person();
    await person.text('hello');
    await line.story(person);
    const page = await openConsole(t, world, { path: '/conversations' });
    await row(page, person.phone).waitFor();
    let reads = 0;
    page.on('request', (request) => {
      if (new URL(request.url()).pathname === '/v1/conversations') reads++;
    });
    await page.keyboard.press('z');
    await page.getByRole('status').filter({ hasText: 'Paused', visible: true }).waitFor();
    await page.evaluate(COME_BACK);
    assert.equal(reads, 0);
    await page.keyboard.press('z');
    await page.evaluate(COME_BACK);
    await until(() => reads > 0, { what: 'a reading' });
  });

  test('a time that ends is asked for in the fields, and taken away again', async (t) => {
    const inbox = inboxOf(world.database);
    const [early, late] = [await inbox.conversation(), await inbox.conversation()];
    await inbox.say([
      { conversation: early, minutes: 30 * 60, body: 'yesterday' },
      { conversation: late, minutes: 1, body: 'today' },
    ]);
    const page = await openConsole(t, world, { path: '/conversations' });
    await rows(page).getByText('today').waitFor();
    await page.getByRole('button', { name: 'Time: Any time' }).click();
    await page.getByRole('menuitemradio', { name: 'From … to …' }).click();
    const now = Date.now();
    const ago = (hours: number) => new Date(now - hours * 3_600_000).toISOString().slice(0, 16);
    await page.getByLabel('From').fill(ago(32));
    await page.getByLabel('To', { exact: true }).fill(ago(28));
    await rows(page).getByText('today').waitFor({ state: 'detached' });
    await rows(page).getByText('yesterday').waitFor();
    assert.equal(await rows(page).count(), 1);
    assert.equal(new URL(page.url()).searchParams.get('until'), `${ago(28)}:00.000Z`);
    await assertAccessible(page);
    await page.reload();
    await rows(page).getByText('yesterday').waitFor();
    assert.equal(await page.getByLabel('From').inputValue(), ago(32));
    await page.getByRole('button', { name: 'Time: From … to …' }).click();
    await page.getByRole('menuitemradio', { name: 'Any time' }).click();
    await isAt(page, '/conversations');
    await rows(page).getByText('today').waitFor();
  });

  test('a slow answer is what p99 leads to, and the filter can be taken away', async (t) => {
    const slow = line.person();
    await slow.text('slow');
    const { turns } = await line.story(slow);
    await world.sql`update turns set ended_at = started_at + interval '40 seconds' where id = ${turns[0]!.id}`;
    const quick = line.person();
    await quick.text('quick');
    await line.story(quick);
    const { call } = await signIn(world);
    const well = (await call('GET', '/v1/overview')).json as Overview;
    const page = await openConsole(t, world);
    await answerCalls(page, '/v1/overview', { ...well, time_to_answer_ms: { p50: 500, p95: 3_000, p99: 20_000 } });
    await page.reload();
    await page.getByRole('link', { name: /p99$/ }).click();
    await isAt(page, '/conversations?since=1h&slower_than=20000');
    await row(page, slow.phone).waitFor();
    assert.equal(await rows(page).count(), 1);
    await page.getByRole('button', { name: 'Time to answer: Slower than 20 s' }).click();
    await page.getByRole('menuitemradio', { name: 'Any time to answer' }).click();
    await isAt(page, '/conversations?since=1h');
    await row(page, quick.phone).waitFor();
  });

  test('a moment of the charts leads to who texted then', async (t) => {
    const person = line.person();
    await person.text('just now');
    await line.story(person);
    const page = await openConsole(t, world);
    await page.getByText('The same as a table').click();
    const newest = page.getByRole('region', { name: 'Numbers of the charts' }).locator('tbody tr').first();
    await newest.getByRole('link').press('Enter');
    await page.waitForURL((url) => url.searchParams.has('since') && url.searchParams.has('until'));
    const { searchParams } = new URL(page.url());
    assert.equal(Date.parse(searchParams.get('until')!) - Date.parse(searchParams.get('since')!), 60_000);
    await page.goBack();
    await page.locator('.u-over').first().click();
    await page.waitForURL((url) => url.searchParams.has('since') && url.searchParams.has('until'));
  });
});

describe('what could not be read', () => {
  let world: World;
  let line: Line;
  before(async () => {
    world = await startWorld();
    line = await world.line();
    await world.sql`update phone_numbers set is_active = false where address <> ${line.number}`;
    await line.agent(() => 'fine', { name: 'one' });
    await line.agent(() => 'fine', { name: 'two' });
    const person = line.person();
    await person.text('hello');
    await line.story(person);
  });
  after(() => world.stop());

  test('is not taken for well: home says which it could not check', async (t) => {
    const page = await openConsole(t, world);
    await page.getByRole('heading', { name: 'All is well' }).waitFor();
    const mend = await breakCalls(page, '/v1/instance');
    await page.reload();
    await page.getByRole('heading', { name: 'Not all could be checked', level: 1 }).waitFor();
    await page.getByText('Whether texts reach real phones could not be read').waitFor();
    await assertAccessible(page);
    await mend(page.getByRole('button', { name: 'Try again' }));
    await page.getByRole('heading', { name: 'All is well' }).waitFor();
  });

  test('does not take a filter away: it says so in its place', async (t) => {
    const page = await openConsole(t, world, { path: '/conversations' });
    await page.getByRole('button', { name: 'Agent: All agents' }).waitFor();
    for (const [path, what, filter] of [
      ['/v1/agents', 'The agents', 'Agent: All agents'],
      ['/v1/instance', 'Our numbers', 'Number: All numbers'],
    ] as const) {
      const mend = await breakCalls(page, path);
      await page.reload();
      const alert = page.getByRole('alert').filter({ hasText: `${what} could not be read.` });
      await alert.waitFor();
      await rows(page).first().waitFor();
      await assertAccessible(page);
      await mend(alert.getByRole('button', { name: 'Try again' }));
      await page.getByRole('button', { name: filter }).waitFor();
    }
  });
});

describe('the widths', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  test('beside an open path the thread can be read, and the list is there where there is room', async (t) => {
    const inbox = inboxOf(world.database);
    const conversation = await inbox.conversation('+15550401234', { ours: OURS });
    const [message] = await inbox.say([{ conversation, minutes: 1, body: 'hello there' }]);
    const page = await openConsole(t, world, { path: `/conversations/${conversation}/messages/${message}` });
    const list = page.getByRole('region', { name: 'All conversations' });
    await page.getByRole('region', { name: 'Path of a message' }).waitFor();
    for (const [width, hasList] of [
      [1280, false],
      [1366, false],
      [1440, false],
      [1520, true],
      [1600, true],
      [1920, true],
    ] as const) {
      await page.setViewportSize({ width, height: 900 });
      const thread = await page.getByRole('region', { name: 'Conversation', exact: true }).boundingBox();
      assert.ok(thread !== null && thread.width >= 400, `${width}: the thread is ${thread?.width} px wide`);
      assert.equal(await list.isVisible(), hasList, `${width}: the list`);
    }
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.keyboard.press('Escape');
    await list.waitFor();
    await rows(page).first().waitFor();
  });
});

/** Scrolls the list down as far as it has been read. */
const TO_THE_END = `(() => {
  const scroller = document.querySelector('ul[aria-label="Conversations"]').parentElement;
  scroller.scrollTop = scroller.scrollHeight;
})()`;
/** What a browser says when somebody comes back to its window. */
const COME_BACK = `window.dispatchEvent(new Event('visibilitychange'))`;
