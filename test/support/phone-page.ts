// The phone of the console as a person and a test look at it.
import type { TestContext } from 'node:test';
import type { Locator } from 'playwright-core';
import type { Page } from './browser.ts';
import { type ConsoleOptions, openConsole } from './console.ts';
import type { Behaviour, ScriptedAgent } from './scripted-agent.ts';
import { until } from './until.ts';
import type { World } from './world.ts';

/** What is asked of elements of the page; the tests themselves run where there are none. */
export type Scroller = {
  readonly scrollTop: number;
  readonly scrollHeight: number;
  readonly clientHeight: number;
  readonly scrollWidth: number;
  readonly clientWidth: number;
  scrollTo(x: number, y: number): void;
};
/** Waits until it has the focus. */
export const hasFocus = (locator: Locator) =>
  until(() => locator.evaluate((element: { matches(selector: string): boolean }) => element.matches(':focus')), {
    what: 'the focus',
  });

export const echo: Behaviour = ({ message }) => `You said: ${message}`;

/** `+1 555 020 0001` */
export const written = (number: string) => number.replace(/^\+1(\d{3})(\d{3})(\d{4})$/, '+1 $1 $2 $3');

export type Desk = { page: Page; phone: Phone; agent: ScriptedAgent; number: string; person: string };
export type Phone = {
  readonly all: Locator;
  readonly field: Locator;
  readonly log: Locator;
  send(text: string): Promise<void>;
  sees(text: string | RegExp): Promise<void>;
};

export function phoneOf(page: Page, number: string): Phone {
  const all = page.getByRole('region', { name: `Phone ${written(number)}` });
  const field = all.getByRole('textbox', { name: /^Text from/ });
  const log = all.getByRole('log');
  return {
    all,
    field,
    log,
    send: async (text) => {
      await field.fill(text);
      await field.press('Enter');
    },
    sees: (text) => log.getByText(text).first().waitFor(),
  };
}

/** A phone of somebody new, on a number of ours with an agent of its own. */
export async function openPhone(
  world: World,
  t: TestContext,
  behaviour: Behaviour = echo,
  options: ConsoleOptions = {},
): Promise<Desk> {
  const line = await world.line();
  const agent = await line.agent(behaviour);
  const person = world.newPhone();
  const query = new URLSearchParams({ phone: person, to: line.number });
  const page = await openConsole(t, world, { path: `/phone?${query}`, ...options });
  const phone = phoneOf(page, person);
  await phone.field.waitFor();
  return { page, phone, agent, number: line.number, person };
}

/** The states under bubbles and their words, as they are read. */
export const texts = (phone: Phone) => phone.log.getByRole('listitem').allInnerTexts();
