// An open conversation in a real browser: its keys.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Page } from '../support/browser.ts';
import { openConsole } from '../support/console.ts';
import { answered, bubble, composer, path, row } from '../support/conversation-page.ts';
import { hasFocus, type Scroller } from '../support/phone-page.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world.stop());

const replay = (page: Page) => page.getByRole('textbox', { name: 'What is asked' });
const at = (pathname: string) => (url: URL) => url.pathname === pathname;

describe('the keys', () => {
  test('Enter presses what has the focus, and opens the newest message when nothing has it', async (t) => {
    const line = await world.line();
    await line.agent(() => 'fine');
    const a = await answered(line);
    const b = await answered(line);
    const page = await openConsole(t, world, { path: `/conversations/${a.id}` });
    await bubble(page, 'We sent: fine').waitFor();
    await row(page, b.person.phone).locator('xpath=ancestor::a').focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(at(`/conversations/${b.id}`));
    await bubble(page, 'We sent: fine').waitFor();
    await page.getByRole('button', { name: 'Take over' }).focus();
    await page.keyboard.press('Enter');
    await composer(page).waitFor();

    // Who clicks a row and goes on by the keys does not come back to that row.
    await row(page, b.person.phone).click();
    await page.keyboard.press('j');
    await page.waitForURL(at(`/conversations/${a.id}`));
    await bubble(page, 'We sent: fine').waitFor();
    await page.keyboard.press('Enter');
    await page.waitForURL((url) => url.pathname.startsWith(`/conversations/${a.id}/messages/`));
  });

  test('arrows scroll the call that has the focus, and go from message to message elsewhere', async (t) => {
    const line = await world.line();
    await line.agent(() => 'fine', { name: 'the reader' });
    const { id } = await answered(line, 'a long story '.repeat(110));
    const page = await openConsole(t, world, { path: `/conversations/${id}` });
    await bubble(page, 'They wrote: a long story').click();
    await path(page)
      .getByRole('button', { name: /the reader/ })
      .click();
    const call = path(page).getByRole('tabpanel');
    await call.focus();
    const { pathname } = new URL(page.url());
    await page.keyboard.press('ArrowDown');
    await until(() => call.evaluate((element: Scroller) => element.scrollTop > 0), { what: 'a call that scrolls' });
    assert.equal(new URL(page.url()).pathname, pathname);
    await call.blur();
    await page.keyboard.press('ArrowDown');
    await page.waitForURL((url) => url.pathname !== pathname);
    await path(page).getByRole('heading', { name: 'An answer' }).waitFor();
  });

  test('Escape leaves the field before it closes the path, and the words are there again', async (t) => {
    const line = await world.line();
    await line.agent(() => 'fine');
    const { id } = await answered(line);
    const page = await openConsole(t, world, { path: `/conversations/${id}` });
    await bubble(page, 'They wrote: hello').click();
    await replay(page).fill('hello, hello');
    await page.keyboard.press('Escape');
    assert.equal(await replay(page).inputValue(), 'hello, hello');
    await page.keyboard.press('Escape');
    await path(page).waitFor({ state: 'detached' });
    await bubble(page, 'They wrote: hello').click();
    await replay(page).waitFor();
    assert.equal(await replay(page).inputValue(), 'hello, hello');

    await page.getByRole('button', { name: 'Take over' }).click();
    await hasFocus(composer(page));
    await page.keyboard.press('Escape');
    assert.ok(await path(page).isVisible(), 'the path was closed');
  });
});
