// Conversations in a real browser, on the real product: what comes in is on the screen, and what an operator does there happens.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertAccessible, breakCalls, expectProblem, NARROW } from '../support/browser.ts';
import { openConsole } from '../support/console.ts';
import { answered, bubble, path, row, thread } from '../support/conversation-page.ts';
import { written } from '../support/phone-page.ts';
import type { Payload } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world.stop());

describe('the list and the thread', () => {
  test('a text and its answer come on the screen as they happen, without anybody touching it', async (t) => {
    const line = await world.line();
    await line.agent(({ message }) => `you said ${message}`);
    const page = await openConsole(t, world, { path: '/conversations' });
    const person = line.person();
    await person.text('first words');
    await row(page, person.phone).click();
    await bubble(page, 'They wrote: first words').waitFor();
    await bubble(page, 'We sent: you said first words').waitFor();
    await person.text('and more');
    await bubble(page, 'They wrote: and more').waitFor();
    await bubble(page, 'We sent: you said and more').waitFor();
    await thread(page).getByText('Delivered').nth(1).waitFor();
  });

  test('what a person sends is shown and never run', async (t) => {
    const line = await world.line();
    await line.agent(() => '<script>document.title = "run"</script>');
    const { person, id } = await answered(line, '<img src=x onerror="document.title=1"> \u202Eevil \u001b[31mred');
    const page = await openConsole(t, world, { path: `/conversations/${id}` });
    await bubble(page, 'We sent: <script>').waitFor();
    await bubble(page, 'They wrote: <img src=x').waitFor();
    assert.equal(await page.title(), 'Conversations · Darkspere');
    assert.equal(await thread(page).locator('script, img').count(), 0);
    await row(page, person.phone).waitFor();
  });

  test('filters and the open conversation live in the URL, and the back button undoes them', async (t) => {
    const line = await world.line();
    await line.agent(() => 'fine');
    const { person, id } = await answered(line);
    const other = await answered(line);
    const page = await openConsole(t, world, { path: '/conversations' });
    await row(page, other.person.phone).waitFor();
    await page.getByRole('searchbox', { name: 'Find a number, words, an id' }).fill(person.phone.slice(-6));
    await row(page, other.person.phone).waitFor({ state: 'detached' });
    await row(page, person.phone).click();
    await page.waitForURL((url) => url.pathname === `/conversations/${id}` && url.search.includes('q='));
    await page.reload();
    await bubble(page, 'We sent: fine').waitFor();
    assert.equal(await row(page, other.person.phone).count(), 0);
    await page.goBack();
    await page.waitForURL((url) => url.pathname === '/conversations');
    await page.getByRole('button', { name: 'State: Any state' }).click();
    await page.getByRole('menuitemradio', { name: 'Opted out' }).click();
    await page.getByText('None like that').waitFor();
  });

  test('a conversation that is not there says so', async (t) => {
    const id = '01900000-0000-7000-8000-000000000000';
    const page = await openConsole(t, world, { path: '/conversations' });
    expectProblem(page, id, '404');
    await page.goto(`/conversations/${id}`);
    await page.getByText('There is no such conversation').waitFor();
  });

  test('the keyboard is enough', async (t) => {
    const line = await world.line();
    await line.agent(() => 'fine');
    const { id } = await answered(line);
    const page = await openConsole(t, world);
    await page.getByRole('navigation', { name: 'Pages' }).first().waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('c');
    await page.waitForURL('/conversations');
    await page.getByRole('list', { name: 'Conversations' }).getByRole('link').first().waitFor();
    await page.keyboard.press('j');
    await page.waitForURL(`/conversations/${id}`);
    await bubble(page, 'We sent: fine').waitFor();
    await page.keyboard.press('Enter');
    await path(page).getByRole('list', { name: 'What happened, in order' }).waitFor();
    await page.keyboard.press('ArrowUp');
    await path(page).getByRole('heading', { name: 'A text and its answer' }).waitFor();
    await page.keyboard.press('Escape');
    await path(page).waitFor({ state: 'detached' });
  });
});

describe('the path of a message', () => {
  test('who was asked, what they said, and the same request for a terminal', async (t) => {
    const line = await world.line();
    const broken = await line.agent(() => ({ status: 500, body: 'broken to pieces' }), { name: 'broken one' });
    const { id } = await answered(line, 'nobody home?');
    assert.ok(broken.calls.length > 0);
    const page = await openConsole(t, world, { path: `/conversations/${id}` });
    await bubble(page, 'They wrote: nobody home?').click();
    await path(page)
      .getByRole('button', { name: /broken one/ })
      .first()
      .waitFor();
    await path(page).getByRole('tabpanel', { name: 'response' }).getByText('broken to pieces').waitFor();
    await path(page).getByRole('button', { name: 'Copy as curl, secrets as variables' }).click();
    const copied = await page.evaluate<string>('navigator.clipboard.readText()');
    assert.match(copied, /curl /);
    assert.doesNotMatch(copied, /whsec_[A-Za-z0-9+/]{8}/);
  });

  test('a reply that the carrier filtered is shown as that', async (t) => {
    const line = await world.line();
    await line.agent(() => 'buy now');
    world.simulator.faults.set({ failWith: { code: 30007, match: { from: line.number } } });
    const person = line.person();
    await person.text('hello');
    await until(async () => (await line.story(person)).parts.some((part) => part.state === 'undelivered'), {
      what: 'a part that was not delivered',
    });
    const { id } = (await line.conversation(person)) as { id: string };
    const page = await openConsole(t, world, { path: `/conversations/${id}` });
    await thread(page).getByText('Not delivered').waitFor();
    await thread(page).getByText(/30007/).waitFor();
  });
});

describe('a reply that nobody knows the end of', () => {
  test('is shown as unknown until it is found at the carrier, then as what it became', async (t) => {
    const { simulator } = world;
    t.after(() => simulator.faults.clear());
    const line = await world.line();
    await line.agent(() => 'somewhere');
    const match = { from: line.number };
    // The carrier takes it, says so to nobody, and cannot be asked for now.
    simulator.faults.set({
      hangAfterAccept: { count: 1, hangMs: 300, match },
      missingCallbacks: { count: 1, match },
      http500OnLookup: 1_000,
    });
    const person = line.person();
    await person.text('where are you?');
    await person.next();
    const { id } = (await line.conversation(person)) as { id: string };
    const page = await openConsole(t, world, { path: `/conversations/${id}` });
    await thread(page).getByText('Unknown', { exact: true }).waitFor();
    await bubble(page, 'We sent: somewhere').click();
    await path(page).getByText('Nobody knows whether it left').first().waitFor();
    assert.equal(await thread(page).getByText('Accepted', { exact: true }).count(), 0);

    simulator.faults.clear();
    // It would be looked for by itself, in some seconds.
    await until(
      async () => {
        await world.sql`
          update graphile_worker._private_jobs set run_at = now() where key like 'settle:%' and locked_at is null`;
        return (await thread(page).getByText('Accepted', { exact: true }).count()) === 1;
      },
      { what: 'the end of the part on the screen', intervalMs: 200 },
    );
    assert.equal(await thread(page).getByText('Unknown', { exact: true }).count(), 0);
    await path(page).getByText('Nobody knew whether it had left').first().waitFor();
    assert.equal(person.texts().length, 1, 'it was sent again');
  });
});

describe('by hand', () => {
  test('an operator takes over with one key, answers, hands back with another, and the agent knows what was said', async (t) => {
    const line = await world.line();
    const histories: Payload['conversation_history'][] = [];
    const agent = await line.agent((payload) => {
      histories.push(payload.conversation_history);
      return `agent: ${payload.message}`;
    });
    const { person, id } = await answered(line);
    const page = await openConsole(t, world, { path: `/conversations/${id}` });
    await bubble(page, 'We sent: agent: hello').waitFor();
    await page.keyboard.press('t');
    const field = page.getByRole('textbox', { name: 'Your text' });
    await field.waitFor();
    await person.text('is anybody there?');
    await bubble(page, 'They wrote: is anybody there?').waitFor();
    await thread(page).getByText('With an operator').waitFor();
    await field.fill('“Yes” – a human…');
    await page.getByText('1 segment').waitFor();
    await page.getByText('GSM-7').waitFor();
    await field.fill('Yes, a human.');
    await field.press('Enter');
    assert.equal((await person.next()).body, 'Yes, a human.');
    await bubble(page, 'We sent: Yes, a human.').waitFor();
    assert.equal(agent.calls.length, 1, 'the agent was asked while an operator answered');
    await field.press('Escape');
    await page.keyboard.press('b');
    await page.getByText('The agent answers.').waitFor();
    await person.text('and now?');
    assert.equal((await person.next()).body, 'agent: and now?');
    assert.deepEqual(
      histories[1]?.slice(-2).map(({ role, content }) => ({ role, content })),
      [
        { role: 'user', content: 'is anybody there?' },
        { role: 'assistant', content: 'Yes, a human.' },
      ],
    );
  });

  test('whoever has opted out cannot be texted', async (t) => {
    const line = await world.line();
    await line.agent(() => 'fine');
    const { person, id } = await answered(line);
    await person.text('STOP');
    const page = await openConsole(t, world, { path: `/conversations/${id}` });
    await page.getByText('They have opted out').waitFor();
    assert.ok(await page.getByRole('button', { name: 'Take over' }).isDisabled());
  });
});

describe('replays', () => {
  test('a turn is asked again: as it was, with other words, of another agent; nobody hears of it', async (t) => {
    const line = await world.line();
    const first = await line.agent(({ message }) => `first heard ${message}`, { name: 'the first' });
    const second = await world.agent(({ message }) => `second heard ${message}`, {
      name: 'the second',
      type: 'elsewhere',
    });
    const { person, id } = await answered(line, 'a table for two');
    const page = await openConsole(t, world, { path: `/conversations/${id}` });
    await bubble(page, 'We sent: first heard').click();
    const desk = page.getByRole('region', { name: 'Replay' });
    const results = desk.getByRole('list', { name: 'Replays of this turn' }).getByRole('listitem');
    await desk.getByRole('button', { name: 'Replay' }).click();
    await results.getByText('The same answer, word for word.').waitFor();
    await desk.getByRole('textbox', { name: 'What is asked' }).fill('a table for three');
    await desk.getByRole('combobox', { name: 'Which agent' }).selectOption({ label: 'the second' });
    await desk.getByRole('button', { name: 'Replay' }).click();
    await results.first().getByText('second', { exact: true }).waitFor();
    assert.equal(first.calls.length, 2);
    assert.equal(second.calls.at(-1)?.text, 'a table for three');
    assert.equal(person.texts().length, 1, 'a replay reached the phone');
  });

  test('its answer is shown once, as the stream tells it, also when the request for it is answered last', async (t) => {
    const line = await world.line();
    let n = 0;
    await line.agent(() => `answer ${++n}`);
    const { id } = await answered(line);
    const page = await openConsole(t, world, { path: `/conversations/${id}` });
    await bubble(page, 'We sent: answer 1').click();
    const desk = page.getByRole('region', { name: 'Replay' });
    const results = desk.getByRole('list', { name: 'Replays of this turn' }).getByRole('listitem');
    const held = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    await page.route('**/v1/turns/*/replays', async (route) => {
      if (route.request().method() !== 'POST') return route.fallback();
      const response = await route.fetch();
      await held.promise;
      await route.fulfill({ response });
      released.resolve();
    });
    await desk.getByRole('button', { name: 'Replay' }).click();
    await results.getByText('2', { exact: true }).waitFor();
    held.resolve();
    await released.promise;
    await desk.getByRole('button', { name: 'Replay', disabled: false }).waitFor();
    assert.equal(await results.count(), 1);
    await results.getByText('2', { exact: true }).waitFor();
  });

  test('of a text that no agent was asked about it says that there is nothing to replay', async (t) => {
    const line = await world.line();
    await line.agent(() => 'fine');
    const { person, id } = await answered(line);
    await person.text('HELP');
    await person.next();
    const page = await openConsole(t, world, { path: `/conversations/${id}` });
    await bubble(page, 'They wrote: HELP').click();
    await page.getByText('No agent was asked here: there is nothing to replay.').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Replay' }).count(), 0);
  });

  test('a replayed answer goes out only when somebody sends it, and once', async (t) => {
    const line = await world.line();
    let n = 0;
    await line.agent(() => `answer ${++n}`);
    const { person, id } = await answered(line);
    const page = await openConsole(t, world, { path: `/conversations/${id}` });
    await bubble(page, 'We sent: answer 1').click();
    const desk = page.getByRole('region', { name: 'Replay' });
    await desk.getByRole('button', { name: 'Replay' }).click();
    await desk.getByRole('button', { name: 'Send it to them' }).click();
    const dialog = page.getByRole('dialog', { name: 'Send this answer' });
    // The world's carrier is a real one as far as the product knows.
    const send = dialog.getByRole('button', { name: 'Send' });
    assert.ok(await send.isDisabled());
    await dialog.getByRole('textbox').fill(person.phone);
    await send.click();
    assert.equal((await person.next()).body, 'answer 2');
    await desk.getByText('Sent to them by hand').waitFor();
  });
});

describe('states', () => {
  test('each panel that cannot be read says so and can be read again; the others live on', async (t) => {
    const line = await world.line();
    await line.agent(() => 'fine');
    const { person, id } = await answered(line);
    const page = await openConsole(t, world);
    const mendList = await breakCalls(page, '/v1/conversations');
    const mendThread = await breakCalls(page, `/v1/conversations/${id}/messages`);
    await page.goto(`/conversations/${id}`);
    const list = page.getByRole('region', { name: 'All conversations' });
    const open = page.getByRole('region', { name: 'Conversation', exact: true });
    await list.getByRole('alert').waitFor();
    await open.getByRole('alert').waitFor();
    await open.getByRole('heading', { name: written(person.phone) }).waitFor();
    await mendThread(open.getByRole('button', { name: 'Try again' }));
    await bubble(page, 'We sent: fine').waitFor();
    await list.getByRole('alert').waitFor();
    await mendList(list.getByRole('button', { name: 'Try again' }));
    await row(page, person.phone).waitFor();
    const { id: message } = (await line.story(person)).messages[0] as { id: string };
    const mendPath = await breakCalls(page, `/v1/messages/${message}/path`);
    await bubble(page, 'They wrote: hello').click();
    await path(page).getByRole('alert').waitFor();
    await bubble(page, 'We sent: fine').waitFor();
    await mendPath(path(page).getByRole('button', { name: 'Try again' }));
    await path(page).getByRole('list', { name: 'What happened, in order' }).waitFor();
  });

  test('nothing keeps anybody from using it, on a wide screen and on a phone', async (t) => {
    const line = await world.line();
    await line.agent(() => 'fine');
    const { person, id } = await answered(line);
    const { id: message } = (await line.story(person)).messages[0] as { id: string };
    const wide = await openConsole(t, world, { path: `/conversations/${id}/messages/${message}` });
    await path(wide).getByRole('button', { name: 'Replay' }).click();
    await path(wide).getByRole('button', { name: 'Send it to them' }).click();
    await wide.getByRole('dialog', { name: 'Send this answer' }).waitFor();
    await assertAccessible(wide);
    await wide.keyboard.press('Escape');
    await wide.goto(`/conversations/${id}`);
    await wide.getByRole('button', { name: 'Take over' }).click();
    await wide.getByRole('textbox', { name: 'Your text' }).fill('Győr');
    await wide.getByText('70 instead of 160').waitFor();
    await assertAccessible(wide);
    for (const viewport of [{ width: 1600, height: 1000 }, NARROW]) {
      const page = await openConsole(t, world, { path: `/conversations/${id}/messages/${message}`, viewport });
      await path(page).getByRole('list', { name: 'What happened, in order' }).waitFor();
      await assertAccessible(page);
      await page.goto('/conversations');
      await row(page, person.phone).waitFor();
      await assertAccessible(page);
      const wider = await page.evaluate<boolean>('document.documentElement.scrollWidth > innerWidth');
      assert.equal(wider, false, 'the page scrolls sideways');
    }
  });
});
