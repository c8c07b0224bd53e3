// The pages about agents in a real browser: how each is, as it happens, and everything that an operator does there.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertAccessible, breakCalls, expectProblem, NARROW, type Page } from '../support/browser.ts';
import { openConsole } from '../support/console.ts';
import { signIn } from '../support/operator.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const LONG = 'Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverkäuferassistenz';
const WIDE = { width: 1600, height: 1000 };

/** The row of an agent, where there is room for a table. */
const row = (page: Page, name: string) => page.getByRole('row', { name: new RegExp(name) });
const title = (page: Page, name: string) => page.getByRole('heading', { level: 1, name });
const panel = (page: Page, name: string) => page.getByRole('region', { name });
const hasFocus = (page: Page, what: string) =>
  until(async () => (await page.evaluate<string>(FOCUSED)) === what, { what: `the focus on ${what}` });
const FOCUSED = `(document.activeElement.getAttribute('name') || document.activeElement.textContent).trim()`;

async function assertNotWider(page: Page): Promise<void> {
  const wider = await page.evaluate<boolean>('document.documentElement.scrollWidth > innerWidth');
  assert.equal(wider, false, `${page.url()} scrolls sideways`);
}

describe('before the first agent', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  test('the page says how to bring one, and becomes the list with the first', async (t) => {
    const page = await openConsole(t, world, { path: '/agents' });
    await title(page, 'Bring an agent').waitFor();
    await assertAccessible(page);
    await page.getByRole('button', { name: 'Copy the command' }).first().click();
    assert.equal(await page.evaluate('navigator.clipboard.readText()'), 'npx create-darkspere-agent my-agent');
    await page.setViewportSize(NARROW);
    await assertNotWider(page);
    await page.setViewportSize(WIDE);
    await world.agent(() => 'hello', { name: 'the first' });
    await row(page, 'the first').waitFor();
  });
});

describe('agents', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  test('an agent that goes down and comes back is seen in the list and on its page, untouched', async (t) => {
    const line = await world.line();
    const agent = await line.agent(() => ({ status: 500, body: 'broken' }), { name: 'waverer' });
    const list = await openConsole(t, world, { path: '/agents', viewport: WIDE });
    const one = await openConsole(t, world, { path: `/agents/${agent.id}`, viewport: WIDE });
    await row(list, 'waverer').getByText('Active').waitFor();
    await one.getByText('Active').first().waitFor();
    const says = (word: string) =>
      until(
        async () => {
          await line.person().text('how are you?');
          return (await row(list, 'waverer').innerText()).includes(word);
        },
        { what: `the list shows ${word}`, timeoutMs: 40_000, intervalMs: 500 },
      );
    await says('Down');
    await one.getByText('Down').first().waitFor();
    await panel(one, 'How it is now')
      .getByText(/of calls$/)
      .waitFor();
    await panel(one, 'Calls').getByText('agent_http').first().waitFor();
    agent.behave(() => 'fine');
    await says('Active');
    await one.getByText('Active').first().waitFor();
  });

  test('the keyboard is enough: to an agent, a probe, a talk, off with a reason, and back', async (t) => {
    const line = await world.line();
    await line.agent(({ message }) => `you said ${message}`, { name: 'a by keyboard' });
    const page = await openConsole(t, world, { viewport: WIDE });
    await page.getByRole('navigation', { name: 'Pages' }).first().waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('a');
    await row(page, 'a by keyboard').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('by keyboard');
    await page.waitForURL(/name=by\+keyboard|name=by%20keyboard/);
    await page.keyboard.press('Escape');
    await until(async () => (await page.getByRole('row').count()) === 2, { what: 'the list is narrowed down' });
    await page.keyboard.press('j');
    await hasFocus(page, 'a by keyboard');
    await page.keyboard.press('Enter');
    await title(page, 'a by keyboard').waitFor();
    await page.keyboard.press('p');
    await panel(page, 'Probe').getByText('no stage failed').waitFor();
    await page.keyboard.press('t');
    await title(page, 'Talk to a by keyboard').waitFor();
    await hasFocus(page, '');
    await page.keyboard.type('hello');
    await page.keyboard.press('Enter');
    await page.getByText('you said hello').waitFor();
    // Out of the field, then back.
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await title(page, 'a by keyboard').and(page.locator(':text-is("a by keyboard")')).waitFor();
    const off = page.getByRole('button', { name: 'Switch off' });
    await off.focus();
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: 'Switch a by keyboard off' });
    await dialog.waitFor();
    await assertAccessible(page);
    await page.keyboard.press('Escape');
    await dialog.getByRole('textbox').waitFor({ state: 'detached' });
    await hasFocus(page, 'Switch off');
    await page.keyboard.press('Enter');
    await dialog.getByRole('textbox').waitFor();
    await page.keyboard.type('It quotes wrong prices');
    await page.keyboard.press('Enter');
    await page.getByRole('status').filter({ hasText: '“It quotes wrong prices”' }).waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('Active').first().waitFor();
    await page.keyboard.press('Escape');
    await page.waitForURL('/agents');
  });

  test('nothing keeps anybody from using them, wide and narrow, whatever they are called', async (t) => {
    const line = await world.line();
    const agent = await line.agent(({ message }) => (message === 'fail' ? { status: 500 } : 'hello'), { name: LONG });
    await world.agent(() => 'x', { name: 'مساعد الحجوزات 🏨' });
    const off = await world.agent(() => 'x', { name: 'old prices' });
    const { call } = await signIn(world);
    await call('POST', `/v1/agents/${off.id}/disable`, { reason: 'It quotes prices of last year' });
    await call('POST', `/v1/agents/${agent.id}/probe`, {});
    const person = line.person();
    await person.text('hi');
    await person.next();
    for (const viewport of [WIDE, { width: 1024, height: 768 }, NARROW]) {
      const page = await openConsole(t, world, { path: '/agents', viewport });
      await page.getByText(LONG).filter({ visible: true }).first().waitFor();
      await assertNotWider(page);
      await assertAccessible(page);
      await page.goto(`/agents/${agent.id}`);
      await panel(page, 'Calls').getByText('answered').first().waitFor();
      await page.getByText('The same as a table').click();
      await panel(page, 'Calls').getByRole('button').nth(2).click();
      await assertNotWider(page);
      await assertAccessible(page);
      await page.goto(`/agents/${off.id}`);
      await page.getByText('Switched off').first().waitFor();
      await assertAccessible(page);
    }
  });
});

describe('agents that cannot be read', () => {
  let world: World;
  before(async () => {
    // Nothing happens by itself, so nothing is read again by itself.
    world = await startWorld({ env: { DARKSPERE_PROBE_SECONDS: '0' } });
  });
  after(() => world.stop());

  test('a list that cannot be read shows no number, and stays so while it is tried again', async (t) => {
    const { id } = await world.agent(() => 'hello', { name: 'reader' });
    const page = await openConsole(t, world, { path: '/agents', viewport: WIDE });
    await row(page, 'reader').waitFor();
    const mends = await Promise.all(['/v1/agents', '/v1/agents/stats'].map((path) => breakCalls(page, path)));
    // What was read stays, marked as old.
    await world.sql`select pg_notify('agents_changed', ${id})`;
    await page.getByRole('alert').filter({ hasText: 'Not up to date' }).waitFor();
    await row(page, 'reader').waitFor();
    await page.reload();
    await page.getByRole('alert').getByText('The gateway does not answer').waitFor();
    assert.doesNotMatch(await page.getByRole('main').innerText(), /\d/);
    await assertAccessible(page);
    let asked = 0;
    page.on('request', (request) => {
      if (new URL(request.url()).pathname === '/v1/agents') asked++;
    });
    await page.evaluate(`window.gone = 0; new MutationObserver(() => {
      if (document.querySelector('main [role=alert]') === null) window.gone++;
    }).observe(document.querySelector('main'), { childList: true, subtree: true })`);
    await until(
      async () => {
        await world.sql`select pg_notify('agents_changed', ${id})`;
        return asked >= 4;
      },
      { what: 'the list is read again and again', timeoutMs: 30_000, intervalMs: 200 },
    );
    assert.equal(await page.evaluate('window.gone'), 0, 'the failure was gone for a moment');
    // It comes back by itself, with the next thing that happens.
    for (const mend of mends) await mend();
    await world.sql`select pg_notify('agents_changed', ${id})`;
    await row(page, 'reader').waitFor();
  });

  test('of one that was removed its page says by whom, and that it left by itself where it did', async (t) => {
    const { id } = await world.agent(() => 'hello', { name: 'removed' });
    const { call } = await signIn(world);
    await call('POST', `/v1/agents/${id}/deactivate`);
    const page = await openConsole(t, world, { path: `/agents/${id}`, viewport: WIDE });
    const standing = (words: RegExp) => page.getByRole('status').filter({ hasText: words }).waitFor();
    await standing(/^Removed by operator · .* · only an operator can bring it back$/);
    await assertAccessible(page);
    await world.sql`update agent_registry set deactivated_by = null where id = ${id}`;
    await page.reload();
    await standing(/^Removed · .* · it left by itself/);
  });

  test('of an agent, each panel fails alone', async (t) => {
    const { id } = await world.agent(() => 'hello', { name: 'panels' });
    const page = await openConsole(t, world, { viewport: WIDE });
    for (const [path, name, shown] of [
      ['health', 'Over time', 'No answers in this time'],
      ['exchanges', 'Calls', 'No call for a text is kept. What programs ask it over the MCP adapter is never kept.'],
      ['sessions', 'Sessions', 'It answers nobody at the moment.'],
    ] as const) {
      const mend = await breakCalls(page, `/v1/agents/${id}/${path}`);
      await page.goto(`/agents/${id}`);
      await panel(page, name).getByRole('alert').getByText('The gateway does not answer').waitFor();
      assert.equal(await page.getByRole('alert').count(), 1);
      await title(page, 'panels').waitFor();
      await mend(panel(page, name).getByRole('button', { name: 'Try again' }));
      await panel(page, name).getByText(shown).waitFor();
    }
    const missing = '01900000-0000-7000-8000-000000000000';
    expectProblem(page, missing, '404');
    await page.goto(`/agents/${missing}`);
    await title(page, 'There is no such agent').waitFor();
    await assertAccessible(page);
  });
});

describe('a new agent', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  test('is tried first: the stage that failed is named, and what it takes to pass is said', async (t) => {
    const running = await world.agent(() => 'hello');
    const page = await openConsole(t, world, { path: '/agents/new' });
    expectProblem(page, '/v1/agents', 'status of 422');
    await page.getByRole('button', { name: 'Try it and register' }).click();
    await hasFocus(page, 'agent_name');
    await page.getByRole('textbox', { name: 'Name' }).fill('mine');
    await page.getByRole('textbox', { name: 'Address' }).fill('https://nobody.invalid/');
    await page.keyboard.press('Enter');
    await page.getByText('It failed at “DNS”').waitFor();
    await hasFocus(page, 'endpoint_url');
    const stages = page.getByRole('list', { name: 'Stages of the probe' }).getByRole('listitem');
    assert.match((await stages.allInnerTexts()).join('\n'), /DNS[\s\S]+does not resolve[\s\S]+Echo\s+not reached/);
    await page.getByRole('button', { name: 'Register it untried' }).waitFor();
    await assertAccessible(page);
    await page.setViewportSize(NARROW);
    await assertNotWider(page);
    await assertAccessible(page);
    await page.getByRole('textbox', { name: 'Address' }).fill(`http://127.0.0.1:${running.port}/`);
    await page.getByRole('button', { name: 'Try again' }).click();
    await title(page, 'It is registered').waitFor();
    await hasFocus(page, 'It is registered');
    await page.getByText(/^whsec_/).waitFor();
    await page.getByText(/^dsp_agent_/).waitFor();
    await assertNotWider(page);
    await assertAccessible(page);
    await page.getByRole('link', { name: 'Talk to it' }).click();
    await title(page, 'Talk to mine').waitFor();
  });

  test('is found by what it is: each kind asks for what it needs', async (t) => {
    const page = await openConsole(t, world, { path: '/agents/new' });
    for (const [kind, field] of [
      ['MCP server', 'Address'],
      ['OpenAI-compatible', 'Model'],
      ['LangGraph', 'Assistant'],
      ['Webhook', 'What is posted'],
    ] as const) {
      await page.getByRole('radio', { name: kind, exact: true }).check();
      await page.getByLabel(field).first().waitFor();
      await assertAccessible(page);
    }
  });
});

describe('the playground', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  test('asks the agent as a text would, shows what went over the wire, and changes nothing', async (t) => {
    const line = await world.line();
    const agent = await line.agent(
      ({ message, conversation_history: history }) =>
        message === 'fail' ? { status: 500, body: 'boom' } : `${history.length} before: ${message}`,
      { name: 'trial' },
    );
    const page = await openConsole(t, world, { path: `/agents/${agent.id}/chat` });
    await page.getByText('Ask it something').waitFor();
    await assertAccessible(page);
    await page.getByRole('button', { name: 'Hello, who are you?' }).click();
    await page.getByText('0 before: Hello, who are you?').waitFor();
    const field = page.getByRole('textbox', { name: 'Your question' });
    for (const [asked, answer] of [
      ['مرحبا 🎉', '2 before: مرحبا 🎉'],
      ['fail', 'The agent answered 500.'],
      [`${LONG}${LONG}`, `4 before: ${LONG}${LONG}`],
    ] as const) {
      await field.fill(asked);
      await field.press('Enter');
      await page.getByText(answer).waitFor();
    }
    await page.getByRole('button', { name: 'Show the call' }).nth(2).click();
    await page.getByText('boom').waitFor();
    await assertAccessible(page);
    await page.setViewportSize(NARROW);
    await assertNotWider(page);
    await assertAccessible(page);
    const [known] = await world.sql`
      select consecutive_failures::int as failures, (select count(*)::int from messages) as texts
      from agent_registry where id = ${agent.id}`;
    assert.deepEqual({ ...known }, { failures: 0, texts: 0 });
    // What was said is there after a look elsewhere, until it is begun anew.
    await page.getByRole('link', { name: 'Back to trial' }).click();
    await page.keyboard.press('t');
    await page.getByText('2 before: مرحبا 🎉').waitFor();
    await page.getByRole('button', { name: 'Start anew' }).click();
    await page.getByText('Ask it something').waitFor();
  });
});
