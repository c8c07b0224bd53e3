// The page of a conversation as an operator and a test look at it.
import type { Page } from './browser.ts';
import { written } from './phone-page.ts';
import type { Line } from './world.ts';

export const row = (page: Page, phone: string) =>
  page.getByRole('list', { name: 'Conversations' }).getByText(written(phone));
export const thread = (page: Page) => page.getByRole('list', { name: 'Messages' });
export const path = (page: Page) => page.getByRole('region', { name: 'Path of a message' });
export const bubble = (page: Page, text: string) => thread(page).getByRole('button', { name: text });
/** Where an operator types who has taken the conversation over. */
export const composer = (page: Page) => page.getByRole('textbox', { name: 'Your text' });

/** Somebody who has texted and was answered. */
export async function answered(line: Line, text = 'hello') {
  const person = line.person();
  await person.text(text);
  const reply = await person.next();
  const { id } = (await line.conversation(person)) as { id: string };
  return { person, reply, id };
}
