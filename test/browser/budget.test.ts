// What a first visit costs, of what is built: all of it comes from the gateway, compressed, and there is a limit.
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { openConsole } from '../support/console.ts';
import { DIST } from '../support/console-build.ts';
import { startWorld, type World } from '../support/world.ts';

/** Everything that the page runs, with what it loads ahead: on a slow line that is a second. */
const SCRIPT_BYTES = 180 * 1024;
/** Letters of this language only; others come when they are needed. */
const OTHER_BYTES = 90 * 1024;

describe('a first visit', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  for (const path of ['/', '/conversations', '/agents', '/phone']) {
    test(`${path} loads few scripts, styles and letters, compressed, and never twice`, async (t) => {
      const page = await openConsole(t, world);
      const loaded = new Map<string, { kind: string; encoding: string | undefined; cache: string | undefined }>();
      page.on('response', (response) => {
        const { pathname } = new URL(response.url());
        const { 'content-encoding': encoding, 'cache-control': cache } = response.headers();
        if (pathname.startsWith('/v1/')) return;
        loaded.set(pathname, { kind: response.request().resourceType(), encoding, cache });
      });
      // As on a first visit: the cache belongs to the window, and a new one has none.
      const session = await page.context().newCDPSession(page);
      await session.send('Network.setCacheDisabled', { cacheDisabled: true });
      await page.goto(path);
      await page.waitForLoadState('networkidle');

      const assets = [...loaded].filter(([name]) => name.startsWith('/assets/'));
      const scripts = await bytesOf(assets.filter(([, { kind }]) => kind === 'script').map(([name]) => name));
      const others = await bytesOf(assets.filter(([, { kind }]) => kind !== 'script').map(([name]) => name));
      assert.ok(scripts.size > 0);
      const sum = (sizes: ReadonlyMap<string, number>) => [...sizes.values()].reduce((total, size) => total + size, 0);
      assert.ok(sum(scripts) <= SCRIPT_BYTES, `${sum(scripts)} bytes of scripts: ${JSON.stringify([...scripts])}`);
      assert.ok(sum(others) <= OTHER_BYTES, `${sum(others)} bytes besides: ${JSON.stringify([...others])}`);

      const careless = assets.filter(
        ([name, { encoding, cache }]) =>
          !cache?.includes('immutable') || (scripts.get(name)! > 1_024 && encoding === undefined),
      );
      assert.deepEqual(careless, []);
    });
  }
});

/** As gzip makes them; a browser that takes more gets less. */
async function bytesOf(names: readonly string[]): Promise<Map<string, number>> {
  const sizes = names.map(async (name) => {
    const file = await stat(`${DIST}${name}.gz`).catch(() => stat(DIST + name));
    return [name, file.size] as const;
  });
  return new Map(await Promise.all(sizes));
}
