// The console over plain http under a name of the network, where a browser gives a page less than on this machine or over https:
// no clipboard, no locks between tabs, fewer ways to make an id.
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { expectProblem, type Page } from '../support/browser.ts';
import { NETWORK_NAME } from '../support/chromium.ts';
import { openConsole } from '../support/console.ts';
import { bubble, composer } from '../support/conversation-page.ts';
import { echo, openPhone, written } from '../support/phone-page.ts';
import { startWorld, type World } from '../support/world.ts';

let world: World;
before(async () => {
  world = await startWorld({ ownSimulator: true });
  world.ownSimulator!.setWebhookUrl(`${world.urls.gateway}/webhooks/twilio/messages`);
});
after(() => world.stop());

const host = NETWORK_NAME;
const chip = (page: Page, word: string) => page.getByRole('status').filter({ hasText: word, visible: true });

/** The browser says of each page that it heeds this header only over https; nothing here leans on it. */
const expectComplaint = (page: Page) => expectProblem(page, 'Cross-Origin-Opener-Policy', host);

/** A phone that has texted and was answered. */
async function texted(t: TestContext) {
  const desk = await openPhone(world, t, echo, { host });
  expectComplaint(desk.page);
  assert.equal(await desk.page.evaluate('isSecureContext'), false);
  await desk.phone.send('hello there');
  await desk.phone.sees('You said: hello there');
  const [conversation] = await world.sql<{ id: string }[]>`
    select id from conversations where their_address = ${desk.person}`;
  return { ...desk, id: conversation!.id };
}

describe('over plain http', () => {
  test('a phone texts, an operator answers by hand, and what is copied is in the clipboard', async (t) => {
    const { page, person, id, agent } = await texted(t);
    await page.goto(`/conversations/${id}`);
    await bubble(page, 'We sent: You said: hello there').waitFor();
    await page.getByRole('button', { name: 'Take over' }).click();
    await page.getByRole('button', { name: 'Copy the number' }).click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    await composer(page).fill('Is it ');
    await composer(page).press('End');
    await composer(page).press('Control+V');
    assert.equal(await composer(page).inputValue(), `Is it ${person}`);
    await composer(page).press('Enter');
    await bubble(page, `We sent: Is it ${person}`).waitFor();

    await page.goto(`/agents/${agent.id}`);
    await page.getByRole('button', { name: 'Copy as curl' }).click();
    await page.getByRole('menuitem', { name: 'Talk to it' }).click();
    await page.getByText('Copied. It reads the key').waitFor();
    await page.getByRole('button', { name: 'Drain' }).click();
    const why = page.getByRole('dialog').getByRole('textbox');
    await why.press('Control+V');
    assert.match(await why.inputValue(), /^curl .*\$DARKSPERE_KEY/);
  });

  test('each tab hears everything once, and nothing of a cut of another', async (t) => {
    const page = await openConsole(t, world, { host, path: '/conversations' });
    expectComplaint(page);
    await chip(page, 'Live').waitFor();
    await page.evaluate(LISTEN);
    const other = await page.context().newPage();
    expectProblem(other, '/v1/events', 'ERR_FAILED');
    await other.route(
      (url) => url.pathname === '/v1/events',
      (route) => route.abort('failed'),
    );
    await other.goto('/conversations');
    await chip(other, 'Reconnecting').waitFor();
    const third = await page.context().newPage();
    await third.goto('/conversations');
    await chip(third, 'Live').waitFor();
    const line = await world.line();
    const person = world.newPhone();
    world.ownSimulator!.submit({ from: person, to: line.number, body: 'is it on?', mediaUrls: [] });
    for (const tab of [page, third])
      await tab.getByRole('list', { name: 'Conversations' }).getByText(written(person)).waitFor();
    assert.deepEqual(await page.evaluate('told'), []);
  });
});

/** What other tabs tell this one. */
const LISTEN = `
  window.told = [];
  window.ears = new BroadcastChannel('darkspere-live');
  ears.onmessage = ({ data }) => told.push(data.type);`;
