// The frame around every page: signing in and out, the keyboard, the themes, and whether it breaks with a page.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  answerCalls,
  assertAccessible,
  breakCalls,
  expectProblem,
  NARROW,
  openWindow,
  type Page,
} from '../support/browser.ts';
import { loginAddress, openConsole } from '../support/console.ts';
import { buildConsole } from '../support/console-build.ts';
import { install } from '../support/program.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const PATHS = ['/', '/conversations', '/agents', '/agents/new', '/phone', '/no-such-page'];

describe('the console', () => {
  let world: World;
  before(async () => {
    await buildConsole();
    world = await startWorld();
  });
  after(() => world.stop());

  test('the address that the first start prints signs in, and it does so once', async (t) => {
    const program = await (await install(t, { external: true, ownSimulator: true })).start();
    const address = /^ +(http:\/\/\S+\/login#\S+)/m.exec(program.output())![1]!;
    const page = await openWindow(t, new URL(address).origin);
    // The program ends with the test, before its window does.
    expectProblem(page, '/v1/events', 'INCOMPLETE');
    await page.goto(address);
    await page.waitForURL('/');
    await page.getByRole('link', { name: 'Conversations' }).filter({ visible: true }).waitFor();
    assert.equal(await page.evaluate('history.length'), 2, 'the token is in the history');

    const other = await openWindow(t, new URL(address).origin);
    expectProblem(other, '/v1/login', 'status of 401');
    await other.goto(address);
    assert.match(await other.getByRole('alert').innerText(), /used already/);
    await other.getByText('npx darkspere login').last().waitFor();
    assert.equal(new URL(other.url()).hash, '', 'a token that is no use stays in the address');
    await other.getByRole('button', { name: 'Copy the command' }).click();
    assert.equal(await other.evaluate('navigator.clipboard.readText()'), 'npx darkspere login');
    // The program ends before they would by themselves.
    for (const each of [page, other]) await each.context().close();
  });

  test('the printed address signs in also where the page that asks for it is open already', async (t) => {
    const page = await openWindow(t, world.urls.gateway!);
    expectProblem(page, '/v1/session', 'status of 401');
    await page.goto('/');
    await page.waitForURL('/login');
    await page.goto(await loginAddress(world));
    await page.waitForURL('/');
    await page.getByRole('link', { name: 'Conversations' }).filter({ visible: true }).waitFor();
  });

  test('signing out ends the session, and every page leads to signing in', async (t) => {
    const page = await openConsole(t, world);
    expectProblem(page, '/v1/', 'status of 401');
    const cookies = await page.context().cookies();
    await page.getByRole('button', { name: 'You and this console' }).filter({ visible: true }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.waitForURL('/login');
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    // Who kept the cookie has nothing of it.
    await page.context().addCookies(cookies);
    await page.goto('/conversations');
    await page.waitForURL('/login');
  });

  test('a session that ends elsewhere ends here too', async (t) => {
    const page = await openConsole(t, world);
    await page.getByText('Live', { exact: true }).filter({ visible: true }).waitFor();
    expectProblem(page, '/v1/', 'status of 401');
    await world.sql`delete from auth_sessions`;
    // Nobody touches anything: the stream is told.
    await page.waitForURL('/login');
  });

  for (const path of PATHS) {
    test(`${path} is accessible in both themes, wide and narrow`, async (t) => {
      const page = await openConsole(t, world, { path });
      await isShown(page);
      await assertAccessible(page);
      await page.setViewportSize(NARROW);
      await assertAccessible(page);
      const { overflow } = await page.evaluate<{ overflow: number }>(
        '({ overflow: document.documentElement.scrollWidth - innerWidth })',
      );
      assert.ok(overflow <= 0, `${path} is ${overflow} px wider than a phone`);
    });
  }

  test('signing in, the search, the keys and the menu are accessible too', async (t) => {
    const page = await openConsole(t, world);
    await isShown(page);
    await page.keyboard.press('Control+k');
    await page.getByRole('dialog', { name: 'Find anything' }).waitFor();
    await assertAccessible(page);
    await closeDialog(page);
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
    await assertAccessible(page);
    await closeDialog(page);
    await page.getByRole('button', { name: 'You and this console' }).filter({ visible: true }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).waitFor();
    // A menu hangs over the page, outside of its landmarks.
    await assertAccessible(page, ['region']);

    const signedOut = await openWindow(t, world.urls.gateway!);
    await signedOut.goto('/login');
    await signedOut.getByRole('heading', { name: 'Sign in' }).waitFor();
    await assertAccessible(signedOut);
  });

  test('the pages about the API are accessible, and lead only to what their service has', async (t) => {
    const { gateway, mcpAdapter, agentRegistration, worker } = world.urls;
    for (const [origin, path] of [
      [gateway, '/docs'],
      [gateway, '/docs/errors'],
      [mcpAdapter, '/docs'],
      [agentRegistration, '/docs'],
      [worker, '/docs/errors'],
    ] as const) {
      const page = await openWindow(t, origin!);
      await page.goto(path);
      for (const viewport of [{ width: 1600, height: 1000 }, NARROW]) {
        await page.setViewportSize(viewport);
        await assertAccessible(page);
        const wider = await page.evaluate<boolean>('document.documentElement.scrollWidth > innerWidth');
        assert.equal(wider, false, `${page.url()} scrolls sideways`);
      }
      const links = await page.getByRole('navigation', { name: 'Pages' }).getByRole('link').all();
      assert.ok(links.length > 0);
      for (const link of links) {
        const href = (await link.getAttribute('href'))!;
        const answer = await page.request.get(href, { headers: { accept: 'text/html' } });
        assert.equal(answer.status(), 200, `${origin}${path} leads to ${href}`);
      }
      await page.context().close();
    }
  });

  test('a keyboard is enough: past the menu, to every page, to what is searched', async (t) => {
    const page = await openConsole(t, world);
    await isShown(page);
    const focused = () => page.evaluate<string>('document.activeElement.textContent');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Skip to the page');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate('document.activeElement.id'), 'main');

    for (const [key, path] of [
      ['c', '/conversations'],
      ['p', '/phone'],
      ['h', '/'],
    ] as const) {
      await page.keyboard.press('g');
      await page.keyboard.press(key);
      await page.waitForURL(path);
    }

    await page.keyboard.press('Control+k');
    await page.getByRole('dialog', { name: 'Find anything' }).waitFor();
    await page.keyboard.type('phone');
    await page.getByRole('option', { name: 'Phone' }).waitFor();
    await page.keyboard.press('Enter');
    await page.waitForURL('/phone');

    await page.keyboard.press('Escape');
    await page.evaluate('document.activeElement.blur()');
    await page.keyboard.press('?');
    const help = page.getByRole('dialog', { name: 'Keyboard' });
    await help.getByText('Go to Conversations').waitFor();
    await page.keyboard.press('Escape');
    await help.waitFor({ state: 'hidden' });
  });

  test('a page that could not be loaded says so, and takes nothing else along', async (t) => {
    const page = await openConsole(t, world);
    expectProblem(page, 'agents-', 'ERR_FAILED');
    const isAgents = /\/assets\/agents-.*\.js$/;
    await page.route(isAgents, (route) => route.abort('failed'));
    await isShown(page);
    await page.keyboard.press('g');
    await page.keyboard.press('a');
    await page.getByText('Agents could not be loaded.').waitFor();
    await assertAccessible(page);
    await page.keyboard.press('g');
    await page.keyboard.press('h');
    await isShown(page);
    await page.unroute(isAgents);
    await page.goBack();
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('heading', { name: 'Bring an agent' }).waitFor();
  });

  test('a search that could not be loaded says so, and takes nothing else along', async (t) => {
    const page = await openConsole(t, world);
    expectProblem(page, 'palette-', 'ERR_FAILED');
    const isPalette = /\/assets\/palette-.*\.js$/;
    await page.route(isPalette, (route) => route.abort('failed'));
    await page.reload();
    await isShown(page);
    await page.keyboard.press('Control+k');
    const dialog = page.getByRole('dialog', { name: 'Find anything' });
    await dialog.getByText('The search could not be loaded.').waitFor();
    await assertAccessible(page);
    await closeDialog(page);
    await isShown(page);
    await page.unroute(isPalette);
    await page.keyboard.press('Control+k');
    await dialog.getByRole('button', { name: 'Try again' }).click();
    await isShown(page);
    await page.keyboard.press('Control+k');
    await dialog.getByPlaceholder(/^A number/).waitFor();
  });

  test('single letters do nothing while somebody types, and can be turned off', async (t) => {
    const page = await openConsole(t, world);
    await isShown(page);
    await page.keyboard.press('Control+k');
    await page.getByRole('dialog', { name: 'Find anything' }).waitFor();
    await page.keyboard.type('g c ?');
    await closeDialog(page);
    assert.equal(new URL(page.url()).pathname, '/');
    await page.keyboard.press('?');
    await page.getByLabel('Single letters do something').uncheck();
    await closeDialog(page);
    await page.keyboard.press('g');
    await page.keyboard.press('c');
    await page.keyboard.press('?');
    assert.equal(new URL(page.url()).pathname, '/');
    assert.equal(await page.getByRole('dialog').count(), 0);
    await page.keyboard.press('Control+k');
    await page.getByRole('dialog', { name: 'Find anything' }).waitFor();
  });

  test('the theme follows the system until one is chosen, and a chosen one is there before anything else', async (t) => {
    const page = await openConsole(t, world, { colorScheme: 'light' });
    await isShown(page);
    const light = await background(page);
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await background(page);
    assert.notEqual(dark, light);
    await page.getByRole('button', { name: 'You and this console' }).filter({ visible: true }).click();
    await page.getByRole('menuitemradio', { name: 'Light' }).click();
    assert.equal(await background(page), light);

    // What draws the page never comes: only what stands before it can have set the theme.
    await page.route(/\/assets\/index-.*\.js$/, (route) => route.abort('failed'));
    expectProblem(page, 'index-', 'ERR_FAILED');
    await page.reload({ waitUntil: 'domcontentloaded' });
    await page.waitForLoadState('load');
    assert.equal(await background(page), light);
  });

  test('a page that is not there says so', async (t) => {
    const page = await openConsole(t, world, { path: '/no-such-page' });
    await page.getByText('There is no such page').waitFor();
    await assertAccessible(page);
    await page.getByRole('link', { name: 'To Home' }).click();
    await page.waitForURL('/');
  });

  test('a page whose code does not come takes nothing along, and can be asked for again', async (t) => {
    const page = await openConsole(t, world);
    await isShown(page);
    const isPhone = /\/assets\/phone-.*\.js$/;
    expectProblem(page, 'phone-', 'ERR_FAILED');
    expectProblem(page, 'phone-', 'Failed to fetch dynamically imported module');
    await page.route(isPhone, (route) => route.abort('failed'));
    await page.keyboard.press('g');
    await page.keyboard.press('p');
    await page.getByRole('alert').waitFor();
    await page.getByRole('link', { name: 'Conversations' }).filter({ visible: true }).click();
    await page.getByRole('heading', { name: 'Conversations' }).waitFor();
    await page.goBack();
    await page.unroute(isPhone);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('heading', { name: 'Phone' }).first().waitFor();
  });

  test('when nothing answers it says so, and goes on when something does', async (t) => {
    const page = await openWindow(t, world.urls.gateway!);
    const mend = await breakCalls(page, '/v1/session');
    await page.goto(await loginAddress(world));
    await page.waitForURL('/');
    assert.match(await page.getByRole('alert').innerText(), /The gateway does not answer/);
    await mend(page.getByRole('button', { name: 'Try again' }));
    await page.getByRole('link', { name: 'Conversations' }).filter({ visible: true }).waitFor();
  });

  test('a search that fails says so and takes nothing along', async (t) => {
    const page = await openConsole(t, world);
    const error = {
      type: 'unavailable',
      code: 'storage_unavailable',
      message: 'The database does not answer.',
      doc_url: '',
      trace_id: '1',
    };
    await answerCalls(page, '/v1/search', { error }, 503);
    await isShown(page);
    await page.keyboard.press('Control+k');
    await page.getByRole('dialog', { name: 'Find anything' }).waitFor();
    await page.keyboard.type('somebody');
    await page.getByText('The search failed: The database does not answer.').waitFor();
    await closeDialog(page);
    await page.getByRole('link', { name: 'Phone' }).filter({ visible: true }).click();
    await page.waitForURL('/phone');
  });
});

/** The page is there, whatever it shows: its code and its first answers have come. */
async function isShown(page: Page): Promise<void> {
  await page.getByRole('navigation', { name: 'Pages' }).filter({ visible: true }).waitFor();
  await page.waitForLoadState('networkidle');
}

/** Closes what is open; the focus is on the page again. */
async function closeDialog(page: Page): Promise<void> {
  await page.keyboard.press('Escape');
  // Not waitForFunction: it evaluates text in the page, which the content policy does not let it.
  const isClosed = "!document.querySelector('dialog[open]') && document.activeElement === document.body";
  await until(() => page.evaluate<boolean>(isClosed), { what: 'the focus on the page again' });
}

function background(page: Page): Promise<string> {
  return page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
}
