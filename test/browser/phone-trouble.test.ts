// The phone of the console when something goes wrong: on purpose, or because it cannot be read.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it, type TestContext } from 'node:test';
import { answerCalls, assertAccessible, breakCalls, type Page } from '../support/browser.ts';
import type { ConsoleOptions } from '../support/console.ts';
import { echo, openPhone as openPhoneAt, texts } from '../support/phone-page.ts';
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

describe('what goes wrong', () => {
  const armed = (page: Page) => page.getByRole('status', { name: 'What will go wrong' });

  it('a text that is delivered twice is answered once', async (t) => {
    const { page, phone, agent } = await openPhone(t);
    await page.getByRole('switch', { name: /^Delivered twice/ }).click();
    await armed(page).getByText('next time').waitFor();
    await phone.send('once, please');
    await phone.sees('You said: once, please');
    await phone.sees('Delivered 2 times');
    await until(async () => (await armed(page).innerText()) === '', { what: 'it has happened' });
    assert.equal(agent.calls.length, 1);
    assert.equal((await texts(phone)).filter((text) => text.includes('You said')).length, 1);
    await page.reload();
    await phone.sees('Delivered 2 times');
  });

  it('an answer that the carrier filters says so, with its code', async (t) => {
    const { page, phone } = await openPhone(t);
    await page.getByRole('switch', { name: /^Filtered as spam/ }).click();
    await armed(page).getByText('Filtered as spam').waitFor();
    assert.equal(await page.getByRole('switch', { checked: true }).count(), 1);
    await phone.send('buy now');
    await phone.sees('Not delivered');
    await phone.sees('30007: The carrier filtered the text as spam');
  });

  it('an agent that is down is asked again, and the text is answered', async (t) => {
    const { page, phone, agent } = await openPhone(t);
    await page.getByRole('switch', { name: /^The agent is down for 10 seconds/ }).click();
    await armed(page).getByText('The agent is down for 10 seconds').waitFor();
    await page.getByRole('switch', { name: /^It refuses one call/ }).click();
    await armed(page).getByText('It refuses one call').waitFor();
    await phone.send('anybody there?');
    await phone.sees('You said: anybody there?');
    await until(async () => (await armed(page).innerText()) === '', { what: 'it has happened' });
    assert.equal(agent.calls.length, 1);
    const calls = await world.sql`
      select e.error_code from exchanges e join messages m on m.conversation_id = e.conversation_id
      where m.body = 'anybody there?' and m.direction = 'in' and e.kind = 'agent' order by e.id`;
    assert.deepEqual(
      calls.map(({ error_code }) => error_code),
      ['agent_refused', null],
    );
  });

  it('a webhook of ours that fails says so, also to whoever opens the phone later', async (t) => {
    const { page, phone } = await openPhone(t);
    world.ownSimulator!.setWebhookUrl(`${world.urls.gateway}/no-such-place`);
    t.after(() => world.ownSimulator!.setWebhookUrl(`${world.urls.gateway}/webhooks/twilio/messages`));
    await phone.send('into the void');
    await phone.sees('Not taken');
    await phone.sees('11200: Our webhook answered with an error');
    await page.reload();
    await phone.sees('Not taken');
  });

  it('can be taken back before it happens', async (t) => {
    const { page, phone } = await openPhone(t);
    const trouble = page.getByRole('switch', { name: /^The phone is switched off/ });
    await trouble.click();
    await armed(page).getByRole('button', { name: 'Take back: The phone is switched off' }).click();
    await until(async () => (await trouble.getAttribute('aria-checked')) === 'false');
    await phone.send('hello');
    await phone.sees('You said: hello');
    await until(async () => (await texts(phone)).some((text) => /You said[\s\S]*Delivered/.test(text)));
  });

  it('has every fault of the simulator, in its own words', async (t) => {
    const { page } = await openPhone(t);
    await page.getByText('More, by the names of the simulator').click();
    const other = page.getByRole('switch', { name: /^late_callbacks/ });
    await other.click();
    await armed(page).getByText('late_callbacks').waitFor();
    await other.click();
    await until(async () => (await armed(page).innerText()) === '');
  });
});

describe('when it cannot be read', () => {
  it('the texts say so and can be tried again, while the rest lives', async (t) => {
    const { page, phone, person } = await openPhone(t);
    const path = `/v1/simulator/phones/${encodeURIComponent(person)}/messages`;
    const mend = await breakCalls(page, path);
    await page.reload();
    await phone.all.getByText('The gateway does not answer. Is it running?').waitFor();
    await page.getByRole('switch', { name: /^Delivered twice/ }).waitFor();
    await mend(phone.all.getByRole('button', { name: 'Try again' }));
    await phone.all.getByText(/Nothing here yet/).waitFor();
  });

  it('a phone without anybody behind it says so, and leads to where that is mended', async (t) => {
    const { page, phone, number } = await openPhone(t);
    const type = `nobody-yet-${number}`;
    await world.sql`update phone_numbers set agent_type = ${type} where address = ${number}`;
    await page.reload();
    await phone.all.getByText(/none is registered/).waitFor();
    await phone.all.getByRole('link', { name: 'Register one' }).click();
    await page.waitForURL('/agents/new');
    await page.goBack();
    await world.agent(echo, { type });
    await phone.all.getByText(/the agent behind it answers/).waitFor();
    await world.sql`update agent_registry set status = 'disabled' where type = ${type}`;
    await page.reload();
    await phone.all.getByText(/none is well at the moment/).waitFor();
    await phone.all.getByRole('link', { name: 'See how they are' }).click();
    await page.getByRole('main').getByText('Scripted').first().waitFor();
  });

  it('nothing is promised while it is not known who is there, or by a number that is switched off', async (t) => {
    const { page, phone, number } = await openPhone(t);
    const mend = await breakCalls(page, '/v1/agents/stats');
    await page.reload();
    await phone.all.getByText(/^Nothing here yet\. Text \+[\d ()-]+\.$/).waitFor();
    await mend();
    await world.sql`update phone_numbers set is_active = false where address = ${number}`;
    await page.reload();
    await phone.all.getByText(/is switched off/).waitFor();
  });

  it('what can go wrong says so, while one can still text', async (t) => {
    const { page, phone } = await openPhone(t);
    const mend = await breakCalls(page, '/v1/simulator/faults');
    await page.reload();
    const panel = page.getByRole('complementary', { name: 'What should go wrong?' });
    await panel.getByText('The gateway does not answer. Is it running?').waitFor();
    await mend(panel.getByRole('button', { name: 'Try again' }));
    await panel.getByRole('switch', { name: /^Delivered twice/ }).waitFor();
    await breakCalls(page, '/v1/simulator/faults');
    await phone.send('hello');
    await phone.sees('You said: hello');
    await panel.getByText(/^Not up to date/).waitFor();
  });
});

describe('without the simulator', () => {
  const numbers = [{ address: '+15550001111', is_active: true, agent_type: 'chat' }];

  it('a real carrier is read-only, and says what to text', async (t) => {
    const { page } = await openPhone(t);
    const instance = { version: '1', carrier: 'twilio', public_url: 'https://example.com', numbers };
    await answerCalls(page, '/v1/instance', instance);
    await page.reload();
    await page.getByRole('heading', { name: 'Text from a real phone' }).waitFor();
    await page.getByRole('list', { name: 'Our numbers' }).getByText('+1 555 000 1111').waitFor();
    assert.equal(await page.getByRole('textbox').count(), 0);
    await assertAccessible(page);
  });

  it('another process that has it is named', async (t) => {
    const { page } = await openPhone(t);
    const error = { type: 'x', code: 'simulator_off', message: 'It is off.', doc_url: '', trace_id: '' };
    await answerCalls(page, '/v1/simulator/faults', { error }, 409);
    await answerCalls(page, '/v1/simulator', { error }, 409);
    await page.reload();
    await page.getByRole('heading', { name: 'The simulator runs in another process' }).waitFor();
  });
});
