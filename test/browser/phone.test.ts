// The phone of the console in a real browser, on a whole Darkspere with its own simulator.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it, type TestContext } from 'node:test';
import { assertAccessible, breakCalls, expectProblem, NARROW } from '../support/browser.ts';
import { type ConsoleOptions, openConsole } from '../support/console.ts';
import {
  echo,
  hasFocus,
  openPhone as openPhoneAt,
  phoneOf,
  type Scroller,
  texts,
  written,
} from '../support/phone-page.ts';
import { startProxy } from '../support/proxy.ts';
import type { Behaviour } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

let world: World;

before(async () => {
  world = await startWorld({ ownSimulator: true });
  world.ownSimulator!.setWebhookUrl(`${world.urls.gateway}/webhooks/twilio/messages`);
});
afterEach(() => world.ownSimulator!.faults.clear());
after(() => world.stop());

const openPhone = (t: TestContext, behaviour?: Behaviour, options?: ConsoleOptions) =>
  openPhoneAt(world, t, behaviour, options);

describe('texting', () => {
  it('begins with one phone that is ready to type on, remembered in the URL and for the next visit', async (t) => {
    const page = await openConsole(t, world, { path: '/phone' });
    const phone = phoneOf(page, '+15557654321');
    await phone.field.waitFor();
    await hasFocus(phone.field);
    assert.equal(new URL(page.url()).searchParams.get('phone'), '+15557654321');
    await page.goto('/phone?phone=%2B15550209999');
    await phoneOf(page, '+15550209999').field.waitFor();
    await page.goto('/phone');
    await phoneOf(page, '+15550209999').field.waitFor();
  });

  it('shows the answer and what became of both texts as it happens', async (t) => {
    const { phone, agent } = await openPhone(t);
    await phone.send('hello there');
    await phone.sees('You said: hello there');
    await until(async () => (await texts(phone)).filter((text) => text.includes('Delivered')).length === 2, {
      what: 'both are delivered',
    });
    assert.deepEqual(agent.heard(), ['hello there']);
    assert.equal(await phone.field.inputValue(), '');
  });

  it('sends a suggested text on a click', async (t) => {
    const { phone } = await openPhone(t);
    await phone.all.getByRole('button', { name: '12% of 80' }).click();
    await phone.sees('You said: 12% of 80');
  });

  it('shows what was sent elsewhere, without a reload', async (t) => {
    const { phone, person, number } = await openPhone(t);
    world.ownSimulator!.submit({ from: person, to: number, body: 'from the command line', mediaUrls: [] });
    await phone.sees('from the command line');
    await phone.sees('You said: from the command line');
  });

  it('opts out with STOP and in again with START', async (t) => {
    const { phone, agent } = await openPhone(t);
    await phone.send('first');
    await phone.sees('You said: first');
    await phone.all.getByRole('button', { name: 'STOP', exact: true }).click();
    await phone.sees(/You have successfully been unsubscribed/);
    await phone.all.getByRole('button', { name: 'START', exact: true }).click();
    await phone.sees(/You have successfully been re-subscribed/);
    assert.deepEqual(agent.heard(), ['first']);
  });

  it('shows the words of strangers as they are', async (t) => {
    const { phone } = await openPhone(t, () => `\x1b[31mred\x1b[0m https://example.com/${'x'.repeat(200)} مرحبا`);
    await phone.send('go');
    await phone.sees(/red/);
    assert.equal(await phone.log.locator('a').count(), 0);
    const [width, inner] = await phone.log.evaluate((log: Scroller) => [log.clientWidth, log.scrollWidth]);
    assert.equal(inner, width, 'a long word is broken');
  });

  it('misses nothing while the line is cut', async (t) => {
    const wire = await startProxy({ host: '127.0.0.1', port: Number(new URL(world.urls.gateway!).port) });
    t.after(() => wire.down());
    const { page, phone, person, number } = await openPhone(t, echo, { through: wire.port });
    expectProblem(page, 'ERR_');
    await page.getByRole('status').getByText('Live').waitFor();
    await wire.down();
    await page.getByRole('status').getByText('Reconnecting').waitFor();
    const { answered } = world.ownSimulator!.submit({ from: person, to: number, body: 'anybody?', mediaUrls: [] });
    assert.equal(await answered, 200);
    await wire.up();
    await phone.sees('You said: anybody?');
    await page.getByRole('status').getByText('Live').waitFor();
  });

  it('keeps somebody who reads older texts where they are', async (t) => {
    const { page, phone, person, number } = await openPhone(t, ({ message }) => `${message}\n`.repeat(30));
    await phone.send('long');
    await phone.sees('long\nlong\nlong');
    await phone.log.evaluate((log: Scroller) => log.scrollTo(0, 0));
    await until(() => phone.log.evaluate((log: Scroller) => log.scrollTop === 0));
    world.ownSimulator!.submit({ from: person, to: number, body: 'and another', mediaUrls: [] });
    await page.getByRole('button', { name: 'New' }).click();
    await until(() => phone.log.evaluate((log: Scroller) => log.scrollHeight - log.scrollTop - log.clientHeight < 2), {
      what: 'the end is in sight',
    });
    await until(async () => (await page.getByRole('button', { name: 'New' }).count()) === 0);
  });

  it('keeps a text that was refused, with the reason', async (t) => {
    const { page, phone } = await openPhone(t);
    const refusal = {
      type: 'rate_limit',
      code: 'rate_limited',
      message: 'Too many at once.',
      doc_url: '',
      trace_id: '',
    };
    expectProblem(page, '/v1/simulator/texts', '429');
    await page.route('**/v1/simulator/texts', (route) => route.fulfill({ status: 429, json: { error: refusal } }));
    await phone.send('important');
    await phone.sees('Not sent. Too many at once.');
    await phone.all.getByRole('button', { name: 'Change it', exact: true }).click();
    assert.equal(await phone.field.inputValue(), 'important');
    await phone.field.press('Enter');
    await phone.sees('Not sent. Too many at once.');
    await page.unroute('**/v1/simulator/texts');
    await phone.all.getByRole('button', { name: 'Try again' }).click();
    await phone.sees('You said: important');
  });
});

describe('the count', () => {
  it('follows what is typed, and names what makes it dear', async (t) => {
    const { phone } = await openPhone(t);
    const says = (text: string | RegExp) => phone.all.locator('form').getByText(text).waitFor();
    await phone.field.fill('hello');
    await says('5 characters');
    await says(/1 segment/);
    await says(/155 left/);
    await says(/GSM-7/);
    await phone.field.fill(`${'a'.repeat(80)} ő “hm”`);
    await says(/2 segments/);
    await says(/UCS-2/);
    await phone.all.locator('form bdi', { hasText: 'ő' }).waitFor();
    await phone.field.fill('a'.repeat(1601));
    await says(/1 characters too many/);
    assert.equal(await phone.all.getByRole('button', { name: 'Send' }).isDisabled(), true);
  });

  it('stands in nobody’s way when it fails', async (t) => {
    const { page, phone } = await openPhone(t);
    await breakCalls(page, '/v1/segments');
    await phone.field.fill('still going');
    await phone.all.getByText(/not counted/).waitFor();
    await phone.field.press('Enter');
    await phone.sees('You said: still going');
  });
});

describe('pictures', () => {
  it('go out, reach the agent, and are shown', async (t) => {
    const { page, phone, agent } = await openPhone(t, ({ media }) => `${media.length} seen`);
    await phone.all.getByRole('button', { name: 'Attach a picture' }).click();
    await page.getByRole('menuitem').first().click();
    await phone.all.getByRole('list', { name: 'Attached pictures' }).getByRole('img').waitFor();
    await phone.all.getByText(/one MMS/).waitFor();
    await phone.send('look');
    await phone.sees('1 seen');
    const picture = phone.log.getByRole('img', { name: 'Sent with this text' });
    await until(() => picture.evaluate((image: { naturalWidth: number }) => image.naturalWidth > 0), {
      what: 'the picture is drawn',
    });
    assert.equal(agent.calls[0]!.payload.media.length, 1);
  });

  it('of an address are asked for, and refused when it is none', async (t) => {
    const { page, phone } = await openPhone(t);
    await phone.all.getByRole('button', { name: 'Attach a picture' }).click();
    await page.getByRole('menuitem', { name: 'The address of a picture …' }).click();
    const field = page.getByRole('dialog').getByRole('textbox');
    await field.fill('not an address');
    await field.press('Enter');
    await page.getByText('An address begins with http:// or https://.').waitFor();
    await field.fill('https://example.com/a.png');
    await field.press('Enter');
    await phone.all.getByText('example.com').waitFor();
    await phone.all.getByRole('button', { name: 'Remove picture 1' }).click();
    assert.equal(await phone.all.getByText('example.com').count(), 0);
  });
});

describe('two phones', () => {
  it('stand side by side, each with its own conversation', async (t) => {
    const { page, phone, number } = await openPhone(t);
    await page.getByRole('button', { name: 'Open a second phone' }).click();
    const other = phoneOf(page, '+15557654322');
    await hasFocus(other.field);
    assert.equal(new URL(page.url()).searchParams.get('second'), '+15557654322');
    await Promise.all([phone.field, other.field].map((field) => field.waitFor()));
    await phone.send('I am the first');
    await other.send('I am the second');
    await phone.sees('You said: I am the first');
    await other.sees('You said: I am the second');
    assert.equal(
      (await texts(phone)).some((text) => text.includes('second')),
      false,
    );
    assert.equal(new URL(page.url()).searchParams.get('second_to'), number);
    await page.goBack();
    await until(async () => (await other.all.count()) === 0, { what: 'back closes it again' });
  });

  it('take any number that is one, and nobody else’s', async (t) => {
    const { page, phone, person, number } = await openPhone(t);
    await page.getByRole('button', { name: 'Open a second phone' }).click();
    const other = phoneOf(page, '+15557654322');
    const change = async (text: string) => {
      const field = page.getByRole('textbox', { name: 'The number of this phone' });
      if ((await field.count()) === 0) await other.all.getByRole('button', { name: /Change its number/ }).click();
      await field.fill(text);
      await field.press('Enter');
    };
    await change('555 1234');
    await page.getByText(/^Begin with \+ and the country/).waitFor();
    await change(person);
    await page.getByText('The other phone has this number.').waitFor();
    await change(number);
    await page.getByText('That is one of our own numbers.').waitFor();
    await change('+44 20 7946 0123');
    await page.getByRole('region', { name: 'Phone +44 207 946 0123' }).waitFor();
    assert.equal(new URL(page.url()).searchParams.get('second'), '+442079460123');
    await phone.field.waitFor();
  });

  it('take turns where there is room for one', async (t) => {
    const { page, phone, person, number } = await openPhone(t, echo, { viewport: NARROW });
    await page.getByRole('button', { name: 'Open a second phone' }).click();
    const other = phoneOf(page, '+15557654322');
    await other.field.waitFor();
    await phone.field.waitFor({ state: 'hidden' });
    world.ownSimulator!.submit({ from: person, to: number, body: 'psst', mediaUrls: [] });
    const back = page.getByRole('group', { name: 'Phones' }).getByRole('button', { name: written(person) });
    await back.getByText('new').waitFor();
    await back.click();
    await phone.sees('You said: psst');
    assert.equal(await page.evaluate<number>('document.documentElement.scrollWidth'), NARROW.width);
    await assertAccessible(page);
  });
});

describe('the path of a text', () => {
  it('is one click away, found by the carrier’s id', async (t) => {
    const { page, phone } = await openPhone(t);
    await phone.send('where do I go?');
    await phone.sees('You said: where do I go?');
    const [asked, told] = await world.sql<{ id: string; conversation_id: string }[]>`
      select id, conversation_id from messages where body in ('where do I go?', 'You said: where do I go?') order by id`;
    const link = phone.log.getByRole('button', { name: 'Show its path' });
    await link.first().click();
    await page.waitForURL(`/conversations/${asked!.conversation_id}/messages/${asked!.id}`);
    await page.goBack();
    await link.last().click();
    await page.waitForURL(`/conversations/${told!.conversation_id}/messages/${told!.id}`);
  });
});

describe('for everybody', () => {
  it('works without a mouse', async (t) => {
    const { page, phone } = await openPhone(t);
    await hasFocus(phone.field);
    await page.keyboard.press('Escape');
    await page.keyboard.press('f');
    await hasFocus(page.getByRole('switch', { name: /^Delivered twice/ }));
    await page.keyboard.press('Space');
    await page.getByRole('status', { name: 'What will go wrong' }).getByText('Delivered twice').waitFor();
    await page.keyboard.press('1');
    await hasFocus(phone.field);
    await page.keyboard.type('by hand');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('in two lines');
    await page.keyboard.press('Enter');
    await phone.sees('You said: by hand\nin two lines');
    await page.keyboard.press('Shift+Tab');
    const paths = phone.log.getByRole('button', { name: 'Show its path' });
    await hasFocus(paths.last());
    await page.keyboard.press('ArrowUp');
    await hasFocus(paths.first());
    await page.keyboard.press('2');
    await hasFocus(phoneOf(page, '+15557654322').field);
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    const help = page.getByRole('dialog', { name: 'Keyboard' });
    await help.getByText('Write on the second phone').waitFor();
    await page.keyboard.press('Escape');
    await help.waitFor({ state: 'hidden' });
  });

  it('the whole way without a mouse: a text, its answer, its path, a replay, an answer by hand, back to the agent', async (t) => {
    const { page, person, agent, number } = await openPhone(t);
    await page.goto('/');
    await page.getByRole('navigation', { name: 'Pages' }).filter({ visible: true }).waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('p');
    const phone = phoneOf(page, person);
    await hasFocus(phone.field);
    await page.keyboard.type('hello');
    await page.keyboard.press('Enter');
    await phone.sees('You said: hello');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/conversations\/[^/]+\/messages\//);
    const path = page.getByRole('region', { name: 'Path of a message' });
    await path.getByRole('list', { name: 'What happened, in order' }).waitFor();
    await page.keyboard.press('r');
    const words = path.getByRole('textbox', { name: 'What is asked' });
    await hasFocus(words);
    await page.keyboard.press('Control+Enter');
    await path.getByText('The same answer, word for word.').waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await path.waitFor({ state: 'detached' });
    await page.keyboard.press('t');
    await hasFocus(page.getByRole('textbox', { name: 'Your text' }));
    await page.keyboard.type('a human');
    await page.keyboard.press('Enter');
    await page.getByRole('list', { name: 'Messages' }).getByText('a human').waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('b');
    await page.getByText('The agent answers.').waitFor();
    world.ownSimulator!.submit({ from: person, to: number, body: 'and now?', mediaUrls: [] });
    await page.getByRole('list', { name: 'Messages' }).getByText('You said: and now?').waitFor();
    assert.deepEqual(agent.heard(), ['hello', 'hello', 'and now?']);
  });

  it('is clean for axe, light and dark', async (t) => {
    const { page, phone } = await openPhone(t);
    await page.getByRole('switch', { name: /^Filtered as spam/ }).click();
    await phone.send('one');
    await phone.sees('30007: The carrier filtered the text as spam');
    await page.getByRole('switch', { name: /^Delivered late/ }).click();
    await phone.field.fill('Győr');
    await phone.all.locator('form bdi').waitFor();
    await assertAccessible(page);
    await page.getByRole('status', { name: 'What will go wrong' }).getByRole('button').click();
    await phone.all.getByRole('button', { name: 'Attach a picture' }).click();
    await page.getByRole('menuitem', { name: 'The address of a picture …' }).click();
    await page.getByRole('dialog').getByRole('textbox').waitFor();
    await assertAccessible(page);
    await page.keyboard.press('Escape');
    await page.setViewportSize(NARROW);
    await page.getByRole('button', { name: 'What should go wrong?' }).click();
    await page.getByRole('dialog').getByRole('switch').first().waitFor();
    await assertAccessible(page);
  });

  it('follows a dark system', async (t) => {
    const { page } = await openPhone(t, echo, { colorScheme: 'dark' });
    const lightness = await page.evaluate<number>(
      `Number(/oklch\\(([\\d.]+)/.exec(getComputedStyle(document.body).backgroundColor)?.[1])`,
    );
    assert.ok(lightness < 0.3, `the page is dark (${lightness})`);
  });
});
