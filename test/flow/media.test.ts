import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { startWorld, type World } from '../support/world.ts';

const PICTURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 3]);

describe('media', () => {
  let world: World;
  let album: Server;
  let picture: string;

  before(async () => {
    world = await startWorld();
    album = createServer((_request, response) => response.writeHead(200, { 'content-type': 'image/png' }).end(PICTURE));
    album.listen(0, '127.0.0.1');
    await once(album, 'listening');
    picture = `http://127.0.0.1:${(album.address() as AddressInfo).port}/cat.png`;
  });
  after(async () => {
    album.close();
    await world.stop();
  });

  /** The link that an agent is given for a picture somebody texted. */
  async function link(): Promise<string> {
    const line = await world.line();
    const agent = await line.agent(() => 'Nice.');
    const ann = line.person();
    await ann.text('look', { media: [picture] });
    await ann.next();
    return agent.calls[0]!.payload.media[0]!.url;
  }

  test('reaches the agent through a link that needs no login', async () => {
    const answer = await fetch(await link());
    assert.equal(answer.status, 200);
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), PICTURE);
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
    assert.equal(answer.headers.get('content-disposition'), 'attachment');
  });

  test('is given to nobody without the link, and the link opens nothing else', async () => {
    const [one, other] = [new URL(await link()), new URL(await link())];
    const refused = async (change: (url: URL) => void) => {
      const url = new URL(one);
      change(url);
      const { status } = await fetch(url);
      assert.equal(status, 404, url.pathname + url.search);
    };
    await refused((url) => url.searchParams.delete('proof'));
    await refused((url) => url.searchParams.set('proof', other.searchParams.get('proof')!));
    await refused((url) => url.searchParams.append('proof', 'twice'));
    await refused((url) => {
      url.pathname = other.pathname;
    });
    await refused((url) => {
      url.pathname = url.pathname.replace(/0$/, '1');
    });
    await refused((url) => {
      url.pathname = '/v1/media/not-a-uuid/0';
    });
  });
});
