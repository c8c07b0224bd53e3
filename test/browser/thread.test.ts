// An open conversation in a real browser: its keys, its pictures, the way back to an older message, and what still goes on.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { MessagePage } from '../../src/http/contract.ts';
import { assertAccessible, expectProblem, NARROW, type Page } from '../support/browser.ts';
import { openConsole } from '../support/console.ts';
import { answered, bubble, composer, path, row, thread } from '../support/conversation-page.ts';
import { inboxOf } from '../support/inbox.ts';
import { hasFocus, type Scroller } from '../support/phone-page.ts';
import { HANG } from '../support/scripted-agent.ts';
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

describe('pictures', () => {
  const PICTURE = 'https://cdn.example.com/menus/today.jpg?size=2';
  /** Nothing of it is left in a text. */
  const NO_WORDS = '\u200b';

  test('one that an agent sends without words is there as a link, and nothing of it is loaded', async (t) => {
    const line = await world.line();
    const agent = await line.agent(() => ({ text: NO_WORDS, media: [PICTURE] }));
    const { id } = await answered(line);
    const page = await openConsole(t, world, { path: `/conversations/${id}` });
    await bubble(page, 'We sent: a picture').getByText('A picture').waitFor();
    const link = thread(page).getByRole('link', { name: /A picture at\s+cdn\.example\.com\s+today\.jpg/ });
    assert.equal(await link.getAttribute('href'), PICTURE);
    assert.deepEqual((await link.getAttribute('rel'))?.split(' ').sort(), ['noopener', 'noreferrer']);
    assert.equal(await thread(page).locator('img').count(), 0);

    agent.behave(() => ({ text: NO_WORDS, media: ['https://cdn.example.com/menus/tomorrow.jpg'] }));
    await bubble(page, 'We sent: a picture').click();
    await path(page).getByRole('button', { name: 'Replay' }).click();
    const result = path(page).getByRole('list', { name: 'Replays of this turn' });
    await result.getByRole('link', { name: /tomorrow\.jpg/ }).waitFor();
    await assertAccessible(page);
    await path(page).getByRole('button', { name: 'Send it to them' }).click();
    await page
      .getByRole('dialog', { name: 'Send this answer' })
      .getByRole('link', { name: /tomorrow\.jpg/ })
      .waitFor();
  });

  test('an address that is none of the web is no link', async (t) => {
    const line = await world.line();
    await line.agent(() => ({ text: 'look', media: [PICTURE] }));
    const { id } = await answered(line);
    const page = await openConsole(t, world);
    await page.route(at(`/v1/conversations/${id}/messages`), async (route) => {
      const response = await route.fetch();
      const body = (await response.json()) as MessagePage;
      for (const { parts } of body.data)
        for (const part of parts) part.media_urls = ['javascript:document.title=1', 'nowhere'];
      await route.fulfill({ response, json: body });
    });
    await page.goto(`/conversations/${id}`);
    await thread(page).getByText('javascript:document.title=1').waitFor();
    await thread(page).getByText('nowhere').waitFor();
    assert.equal(await thread(page).getByRole('link').count(), 0);
  });

  test('a text that is only a picture can be asked again as it was, and other words must be some', async (t) => {
    const line = await world.line();
    const agent = await line.agent(({ media, message }) => `${media.length} picture, ${message || 'no words'}`);
    const person = line.person();
    await person.text('', { media: ['https://example.com/a.jpg'] });
    await person.next();
    const { id } = (await line.conversation(person)) as { id: string };
    const page = await openConsole(t, world, { path: `/conversations/${id}` });
    expectProblem(page, '/media/0', '404');
    await bubble(page, 'We sent: 1 picture, no words').click();
    const run = path(page).getByRole('button', { name: 'Replay' });
    await run.click();
    await path(page).getByText('The same answer, word for word.').waitFor();
    await replay(page).fill('   ');
    assert.ok(await run.isDisabled());
    await replay(page).fill('what is it?');
    await run.click();
    await until(() => agent.heard().at(-1) === 'what is it?', { what: 'the other words' });
  });
});

describe('what still goes on', () => {
  test('is said to, and grows by the second on the clock of the gateway', async (t) => {
    const line = await world.line();
    await line.agent(() => HANG);
    const person = line.person();
    await person.text('are you there?');
    const { id } = (await line.conversation(person)) as { id: string };
    const page = await openConsole(t, world);
    // A machine whose clock is an hour ahead.
    await page.clock.install({ time: Date.now() + 3_600_000 });
    await page.goto(`/conversations/${id}`);
    await bubble(page, 'They wrote: are you there?').click();
    const span = path(page).getByRole('button', { name: /An agent is asked goes on/ });
    const figure = async () => /(?<figure>[\d.]+) s$/.exec((await span.innerText()).trim())?.groups?.figure;
    const before = await until(figure, { what: 'a length of seconds' });
    await until(async () => Number(await figure()) > Number(before), { what: 'a span that grows' });
    await assertAccessible(page);
  });
});

describe('a message in its context', () => {
  const bodies = (count: number) => Array.from({ length: count }, (_, n) => `text ${count - n} of ${count}`);
  /** A conversation of `count` texts, the last of them now; gives its id and theirs, oldest first. */
  async function talk(count: number) {
    const inbox = inboxOf(world.database);
    const conversation = await inbox.conversation(world.newPhone());
    const said = bodies(count).map((body, minutes) => ({ conversation, minutes, body }));
    return { id: conversation, texts: (await inbox.say(said)).toReversed() };
  }
  const isSeen = async (page: Page, text: string) => {
    const box = await bubble(page, text).boundingBox();
    const area = await thread(page).locator('xpath=ancestor::div[contains(@class, "scroll-y")]').boundingBox();
    return box !== null && area !== null && box.y >= area.y && box.y + box.height <= area.y + area.height;
  };

  test('one that is further back than what is read at first is read back to, shown, and left alone then', async (t) => {
    const { id, texts } = await talk(180);
    const page = await openConsole(t, world, { path: `/conversations/${id}/messages/${texts[9]}` });
    await until(() => isSeen(page, 'text 10 of 180'), { what: 'the message in view' });
    assert.equal(await bubble(page, 'text 10 of 180').getAttribute('aria-pressed'), 'true');
    // Whoever reads on is not brought back by what happens.
    const list = thread(page).locator('xpath=ancestor::div[contains(@class, "scroll-y")]');
    await list.evaluate((element: Scroller) => element.scrollTo(0, 0));
    await inboxOf(world.database).say([{ conversation: id, minutes: 0, body: 'one more' }]);
    await page.getByRole('button', { name: 'Older ones' }).waitFor({ state: 'detached' });
    await until(() => isSeen(page, 'text 1 of 180'), { what: 'the beginning in view' });
    assert.equal(await isSeen(page, 'text 30 of 180'), false);
  });

  test('on a phone it is there when the path is closed', async (t) => {
    const { id, texts } = await talk(180);
    const page = await openConsole(t, world, {
      path: `/conversations/${id}/messages/${texts[9]}`,
      viewport: NARROW,
    });
    await path(page).getByRole('button', { name: 'Close the path' }).click();
    await until(() => isSeen(page, 'text 10 of 180'), { what: 'the message in view' });
  });

  test('one that is very old is said to be, and looked for on request', async (t) => {
    const { id, texts } = await talk(1_200);
    const page = await openConsole(t, world, { path: `/conversations/${id}/messages/${texts[9]}` });
    await page.getByText('This message is further back than the newest 1,050.').waitFor();
    assert.ok(await isSeen(page, 'text 1200 of 1200'));
    await page.getByRole('button', { name: 'Look further' }).click();
    await until(() => isSeen(page, 'text 10 of 1200'), { what: 'the message in view' });
  });
});
