// The list of conversations as a person and a test look at it.
import type { Page } from './browser.ts';
import { written } from './phone-page.ts';

export const rows = (page: Page) => page.getByRole('list', { name: 'Conversations' }).getByRole('listitem');
/** That of one person. */
export const row = (page: Page, phone: string) => rows(page).filter({ hasText: written(phone) });
/** Waits until the address is this path with this query. */
export const isAt = (page: Page, path: string) => page.waitForURL((url) => url.pathname + url.search === path);
