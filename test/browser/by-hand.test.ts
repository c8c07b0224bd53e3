// The field of an operator in a real browser: it is nobody's until they take over, and no word that is written there is lost, or
// sent twice.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Route } from 'playwright-core';
import { expectProblem, type Page } from '../support/browser.ts';
import { openConsole } from '../support/console.ts';
import { answered, bubble, composer, path } from '../support/conversation-page.ts';
import { hasFocus } from '../support/phone-page.ts';
import { deskOf } from '../support/takeover-desk.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world.stop());

const at = (pathname: string) => (url: URL) => url.pathname === pathname;
const words = (page: Page) => composer(page).inputValue();

async function somebody() {
  const line = await world.line();
  await line.agent(() => 'fine');
  return answered(line);
}

/** The conversation, taken over a moment ago. */
async function open(t: Parameters<typeof openConsole>[0], id: string): Promise<Page> {
  const page = await openConsole(t, world, { path: `/conversations/${id}` });
  await page.getByRole('button', { name: 'Take over' }).click();
  await hasFocus(composer(page));
  return page;
}

/** The next text of an operator goes this way; the others as always. */
async function onNextText(page: Page, id: string, way: (route: Route) => Promise<void>): Promise<void> {
  let isOver = false;
  await page.route(at(`/v1/conversations/${id}/messages`), async (route) => {
    if (isOver || route.request().method() !== 'POST') return route.fallback();
    isOver = true;
    await way(route);
  });
}

describe('who goes through conversations', () => {
  test('lands in nobody’s field, and is in their own when they have taken over', async (t) => {
    const line = await world.line();
    await line.agent(() => 'fine');
    const a = await answered(line);
    const b = await answered(line);
    await deskOf(world.sql, b.id).take();
    const page = await openConsole(t, world, { path: `/conversations/${a.id}` });
    await bubble(page, 'We sent: fine').waitFor();
    await page.keyboard.press('k');
    await page.waitForURL(at(`/conversations/${b.id}`));
    await composer(page).waitFor();
    await page.keyboard.press('j');
    await page.waitForURL(at(`/conversations/${a.id}`));

    // The stream tells of it before the answer comes.
    const held = Promise.withResolvers<void>();
    await page.route(at(`/v1/conversations/${a.id}/takeover`), async (route) => {
      const response = await route.fetch();
      await held.promise;
      await route.fulfill({ response });
    });
    await page.keyboard.press('t');
    await composer(page).waitFor();
    held.resolve();
    await hasFocus(composer(page));
  });

  test('finds the words there that they had begun', async (t) => {
    const line = await world.line();
    await line.agent(() => 'fine');
    const a = await answered(line);
    const b = await answered(line);
    const page = await open(t, b.id);
    await page.keyboard.type('half a sent');
    await page.keyboard.press('Escape');
    await page.keyboard.press('j');
    await page.waitForURL(at(`/conversations/${a.id}`));
    await bubble(page, 'We sent: fine').waitFor();
    await page.keyboard.press('k');
    await page.waitForURL(at(`/conversations/${b.id}`));
    await composer(page).waitFor();
    assert.equal(await words(page), 'half a sent');
  });
});

describe('a text by hand', () => {
  test('leaves the field at once, and what is typed while it is on its way stays', async (t) => {
    const { id, person } = await somebody();
    const page = await open(t, id);
    const held = Promise.withResolvers<void>();
    await onNextText(page, id, async (route) => {
      const response = await route.fetch();
      await held.promise;
      await route.fulfill({ response });
    });
    await page.keyboard.type('first');
    await page.keyboard.press('Enter');
    await page.keyboard.type('second');
    assert.equal((await person.next()).body, 'first');
    held.resolve();
    await page.getByRole('button', { name: 'Send', exact: true, disabled: false }).waitFor();
    assert.equal(await words(page), 'second');
    await page.keyboard.press('Enter');
    assert.equal((await person.next()).body, 'second');
  });

  test('that could not be sent is given back, before what was typed since', async (t) => {
    const { id, person } = await somebody();
    const page = await open(t, id);
    expectProblem(page, id, 'ERR_FAILED');
    const held = Promise.withResolvers<void>();
    await onNextText(page, id, async (route) => {
      await held.promise;
      await route.abort('failed');
    });
    await page.keyboard.type('one');
    await page.keyboard.press('Enter');
    await page.getByText('Sending: one').waitFor();
    await page.keyboard.type('two');
    held.resolve();
    await page.getByText('The gateway does not answer.').waitFor();
    assert.equal(await words(page), 'one\ntwo');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    assert.equal((await person.next()).body, 'one\ntwo');
  });

  test('is one text when its answer got lost and it is sent again, and another when its words were changed', async (t) => {
    const { id, person } = await somebody();
    const page = await open(t, id);
    expectProblem(page, id, 'ERR_FAILED');
    const loseAnswer = (route: Route) => route.fetch().then(() => route.abort('failed'));
    const bodies = () => person.texts().map(({ body }) => body);
    for (const again of ['', ', then']) {
      await onNextText(page, id, loseAnswer);
      await page.keyboard.type('at five');
      await page.keyboard.press('Enter');
      // The words are in the field before it is tried, too.
      await page.getByText('The gateway does not answer.').waitFor();
      await until(async () => (await words(page)) === 'at five', { what: 'the words in the field' });
      await page.keyboard.type(again);
      await page.keyboard.press('Enter');
      await page.getByText('Enter sends').waitFor();
    }
    await until(() => bodies().length === 4, { what: 'the texts' });
    assert.deepEqual(bodies(), ['fine', 'at five', 'at five', 'at five, then']);
  });

  test('is still there when Escape leaves the field, and so is the path beside it', async (t) => {
    const { id } = await somebody();
    const page = await open(t, id);
    await bubble(page, 'They wrote: hello').click();
    await path(page).getByRole('list', { name: 'What happened, in order' }).waitFor();
    await composer(page).fill('a moment');
    await page.keyboard.press('Escape');
    await page.keyboard.press('b');
    await page.getByText('The agent answers.').waitFor();
    assert.ok(await path(page).isVisible(), 'the path was closed');
    await page.keyboard.press('t');
    await hasFocus(composer(page));
    assert.equal(await words(page), 'a moment');
  });
});
