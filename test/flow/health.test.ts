import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CATALOGUE } from '../../src/errors.ts';
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

  test('keeps its metrics from whoever comes through a proxy', async () => {
    for (const [, url] of urls()) {
      const outside = await fetch(`${url}/metrics`, { headers: { 'x-forwarded-for': '203.0.113.9' } });
      assert.equal(outside.status, 404);
    }
  });

  test('explains each error at the doc_url it gives', async () => {
    const [, url] = urls()[0]!;
    const { error } = (await (await fetch(`${url}/nowhere`)).json()) as { error: { doc_url: string; code: string } };
    assert.equal(error.code, 'not_found');
    const page = await (await fetch(new URL(error.doc_url, url))).text();
    for (const code of Object.keys(CATALOGUE)) assert.ok(page.includes(code), code);
  });
});
