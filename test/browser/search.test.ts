// What is typed into the list's field, in a real browser: a number narrows the list down, anything else finds texts.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertAccessible, breakCalls, NARROW, type Page } from '../support/browser.ts';
import { openConsole } from '../support/console.ts';
import { inboxOf } from '../support/inbox.ts';
import { isAt, row, rows } from '../support/list-page.ts';
import { written } from '../support/phone-page.ts';
import { until } from '../support/until.ts';
import { type Line, startWorld, type World } from '../support/world.ts';

const field = (page: Page) => page.getByRole('searchbox', { name: 'Find a number, words, an id' });
const hits = (page: Page) => page.getByRole('list', { name: 'Texts that were found' }).getByRole('listitem');
const headline = (page: Page) => page.getByRole('heading', { level: 1 });

describe('a search', () => {
  let world: World;
  let line: Line;
  before(async () => {
    world = await startWorld();
    line = await world.line();
    await line.agent(({ message }) => (message === 'fail' ? { status: 500 } : 'fine'));
  });
  after(() => world.stop());

  test('finds words, shows where they stand, leads to the message, and the back button undoes it', async (t) => {
    const person = line.person();
    await person.text('Is my <b>Parcel</b> there?');
    const { conversation, messages } = await line.story(person);
    const page = await openConsole(t, world, { path: '/conversations' });
    await row(page, person.phone).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('parcel');
    await hits(page).getByText(written(person.phone)).waitFor();
    assert.deepEqual(await hits(page).locator('mark').allInnerTexts(), ['Parcel']);
    await page.getByText(/^1 found at .* in the words of all texts\./).waitFor();
    await isAt(page, '/conversations?q=parcel');
    await assertAccessible(page);
    await hits(page).getByRole('link').click();
    await isAt(page, `/conversations/${conversation.id}/messages/${messages[0]!.id}?q=parcel`);
    await page.getByRole('region', { name: 'Path of a message' }).waitFor();
    await page.goBack();
    await isAt(page, '/conversations?q=parcel');
    await hits(page).first().waitFor();
    await page.goBack();
    await isAt(page, '/conversations');
    await row(page, person.phone).waitFor();
  });

  test('finds the carrier’s ids, ours and error codes, and says where it looked', async (t) => {
    const person = line.person();
    await person.text('fail');
    const { messages, turns } = await line.story(person);
    const [text] = messages as unknown as { id: string; provider_id: string }[];
    const page = await openConsole(t, world, { path: '/conversations' });
    for (const [q, where] of [
      [text!.provider_id, 'the carrier’s message ids'],
      [text!.id, 'ids of messages, turns, parts and exchanges'],
      [turns[0]!.error_code as string, 'error codes of the newest turns and sends that failed'],
    ] as const) {
      await field(page).fill(q);
      await hits(page).getByText('fail').first().waitFor();
      await page.getByText(where).waitFor();
    }
    await field(page).fill('SM00000000000000000000000000000000');
    await page.getByText('Nothing found').waitFor();
    await page.getByText('Looked through the words of all texts and the carrier’s message ids.').waitFor();
    await page.getByRole('button', { name: 'Show all conversations' }).click();
    await row(page, person.phone).waitFor();
  });

  test('takes digits for a number, and for texts where that is meant', async (t) => {
    const person = line.person();
    await person.text('the code is 424242');
    await line.story(person);
    const page = await openConsole(t, world, { path: '/conversations' });
    await field(page).fill(person.phone.slice(-7));
    await until(async () => (await rows(page).count()) === 1, { what: 'one conversation' });
    await row(page, person.phone).waitFor();
    await field(page).fill('424242');
    await page.getByText('None like that').waitFor();
    await page.getByRole('button', { name: 'Texts and error codes with 424242 instead' }).click();
    await hits(page).locator('mark').waitFor();
    await isAt(page, '/conversations?q=424242&in=texts');
    await page.getByRole('button', { name: 'Numbers with 424242 instead' }).click();
    await isAt(page, '/conversations?q=424242');
  });

  test('goes on where one page ends, by mouse and keyboard, and again where it failed', async (t) => {
    const inbox = inboxOf(world.database);
    const conversation = await inbox.conversation();
    await inbox.say(Array.from({ length: 60 }, (_, n) => ({ conversation, minutes: n, body: `needle ${n}` })));
    const page = await openConsole(t, world, { path: '/conversations', viewport: { width: 1600, height: 900 } });
    const mend = await breakCalls(page, '/v1/messages');
    await field(page).fill('needle');
    await page.getByRole('region', { name: 'Texts' }).getByRole('alert').waitFor();
    await mend(page.getByRole('button', { name: 'Try again' }));
    await until(async () => (await hits(page).count()) === 50, { what: 'the first page' });
    await page.getByText(/^50 or more found/).waitFor();
    await page.getByRole('button', { name: 'Older ones' }).click();
    await until(async () => (await hits(page).count()) === 60, { what: 'all of them' });
    await page.getByText('That is all.').waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('j');
    await page.waitForURL(/\/messages\/.*q=needle$/);
    assert.equal(await hits(page).first().getByRole('link').getAttribute('aria-current'), 'true');
  });

  test('is led to with / from elsewhere, and from what is found everywhere', async (t) => {
    const person = line.person();
    await person.text('a rhinoceros');
    await line.story(person);
    for (const path of ['/', '/phone']) {
      const page = await openConsole(t, world, { path });
      await headline(page).first().waitFor();
      await page.keyboard.press('/');
      await isAt(page, '/conversations');
      await until(async () => (await page.evaluate(FOCUSED)) === 'search', {
        what: 'the field to type in',
      });
    }
    const page = await openConsole(t, world);
    await headline(page).waitFor();
    await page.keyboard.press('ControlOrMeta+k');
    await page.getByRole('combobox').fill('rhinoceros');
    await page.getByRole('option', { name: 'All results for “rhinoceros”' }).click();
    await isAt(page, '/conversations?q=rhinoceros');
    await hits(page).getByText(written(person.phone)).waitFor();
    await page.setViewportSize(NARROW);
    await assertAccessible(page);
  });
});

/** The kind of field that has the focus. */
const FOCUSED = 'document.activeElement?.type';
