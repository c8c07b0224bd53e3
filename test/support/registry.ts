// A registry on this machine that has what this repository has installed, and nothing else: npm installs from it as from any.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ROOT } from './source-tree.ts';

/** `tarballs`: the folder with those packages that are asked for and not only asked about. */
export async function startRegistry(tarballs: string) {
  const server = createServer((request, response) => {
    answer(decodeURIComponent(request.url ?? '/').slice(1), tarballs, `http://${request.headers.host}`).then(
      (body) => response.end(body),
      () => response.writeHead(404).end('{}'),
    );
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** What is known of a package, or the package itself. Rejects for one that is not there. */
async function answer(path: string, tarballs: string, url: string): Promise<Buffer | string> {
  const [, file] = /^-\/([\w.-]+\.tgz)$/.exec(path) ?? [];
  if (file !== undefined) return readFile(join(tarballs, file));
  if (!/^(@[\w.-]+\/)?[\w-][\w.-]*$/.test(path)) throw new Error('no name');
  const manifest = JSON.parse(await readFile(join(ROOT, 'node_modules', path, 'package.json'), 'utf8'));
  const { version } = manifest;
  // As npm names what it packs.
  const tarball = `${url}/-/${path.replace('@', '').replace('/', '-')}-${version}.tgz`;
  const versions = { [version]: { ...manifest, dist: { tarball } } };
  return JSON.stringify({ name: path, 'dist-tags': { latest: version }, versions });
}
