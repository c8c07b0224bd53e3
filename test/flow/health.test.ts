import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CATALOGUE } from '../../src/errors.ts';
import { keyHolder } from '../support/operator.ts';
import { startWorld, type World } from '../support/world.ts';

describe('every service', () => {
  let world: World;
  const urls = () => Object.entries(world.urls).filter(([name]) => name !== 'simulator');

  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  test('says that it lives, that it is ready and what it counts', async () => {
    assert.equal(urls().length, 4);
    for (const [, url] of urls()) {
      assert.equal((await fetch(`${url}/health`)).status, 200);
      assert.equal(((await (await fetch(`${url}/ready`)).json()) as { ready: boolean }).ready, true);
      assert.match(await (await fetch(`${url}/metrics`)).text(), /^# TYPE darkspere_texts_in_total counter$/m);
    }
  });

  test('keeps its metrics from whoever comes through a proxy; at the gateway a key opens them', async () => {
    const status = async (url: string, headers: Record<string, string> = {}) =>
      (await fetch(`${url}/metrics`, { headers: { 'x-forwarded-for': '203.0.113.9', ...headers } })).status;
    for (const [name, url] of urls()) assert.equal(await status(url), name === 'gateway' ? 401 : 404, name);
    const gateway = world.urls.gateway!;
    const [reader, sender] = [await keyHolder(world, ['read']), await keyHolder(world, ['send'])];
    assert.equal(await status(gateway, { authorization: `Bearer ${reader.key}` }), 200);
    assert.equal(await status(gateway, { authorization: `Bearer ${sender.key}` }), 403);
    const inUrl = await fetch(`${gateway}/metrics?key=${reader.key}`);
    assert.equal(inUrl.status, 400);
  });

  test('explains each error at the doc_url it gives', async () => {
    const [, url] = urls()[0]!;
    const { error } = (await (await fetch(`${url}/nowhere`)).json()) as { error: { doc_url: string; code: string } };
    assert.equal(error.code, 'not_found');
    const page = await (await fetch(new URL(error.doc_url, url))).text();
    for (const code of Object.keys(CATALOGUE)) assert.ok(page.includes(code), code);
  });
});
