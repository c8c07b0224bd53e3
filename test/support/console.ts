// Signed in to the console of a world, as an operator is who opened the printed address.
import type { TestContext } from 'node:test';
import type { Sql } from '../../src/database/pools.ts';
import { createLoginToken, loginUrl } from '../../src/security/sessions.ts';
import { openWindow, type Page, type WindowOptions } from './browser.ts';
import { buildConsole } from './console-build.ts';
import { call } from './operator.ts';

export type ConsoleOptions = WindowOptions & {
  /** With its query; default the home page. */
  readonly path?: string;
  /** The port of a wire to the gateway (proxy.ts) that the test can cut. */
  readonly through?: number;
  /** What the gateway is called in the address; default the address of this machine. */
  readonly host?: string;
};

type Host = { readonly urls: { readonly gateway?: string }; readonly sql: Sql; readonly log?: readonly string[] };

/**
 * A window on a page of the console, signed in. Start the world in `before`: it has to outlive the window, which the end of the
 * test closes.
 */
export async function openConsole(t: TestContext, world: Host, options: ConsoleOptions = {}): Promise<Page> {
  const { path = '/', through } = options;
  const origin = new URL(world.urls.gateway!);
  if (through !== undefined) origin.host = `127.0.0.1:${through}`;
  if (options.host !== undefined) origin.hostname = options.host;
  await buildConsole();
  const page = await openWindow(t, origin.origin, { ...options, ...(world.log && { log: world.log }) });
  // Signed in beforehand: going through the printed address would load two more pages for each test.
  await page.context().addCookies([{ ...(await signedInCookie(world)), url: origin.origin }]);
  await page.goto(path);
  return page;
}

async function signedInCookie({ sql, urls }: Host): Promise<{ name: string; value: string }> {
  const { token } = await createLoginToken(sql);
  const login = await call(urls.gateway!, 'POST', '/v1/login', { token });
  const [, name, value] = /^([^=]+)=([^;]+)/.exec(login.headers.get('set-cookie')!)!;
  return { name: name!, value: value! };
}

/** An address that signs in once, as the program prints it. */
export async function loginAddress({ sql, urls }: Host, origin = urls.gateway!): Promise<string> {
  const { token } = await createLoginToken(sql);
  return loginUrl(origin, token);
}
