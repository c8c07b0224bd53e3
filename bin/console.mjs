// Whether the console has to be built before the program starts.
// Runs under whatever Node the machine has (16 or newer), so nothing here may be newer than that.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Everything the build depends on: its sources, the shapes it shares with the server, the versions of what it is made with. */
function sourcesOf(root) {
  const files = ['package-lock.json', join('src', 'http', 'contract.ts')];
  const walk = (folder) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== 'dist' && entry.name !== 'node_modules' && !entry.name.startsWith('.')) walk(path);
      } else if (entry.isFile()) files.push(path);
    }
  };
  walk('console');
  walk(join('src', 'http', 'contract'));
  return files.map((path) => path.split('\\').join('/')).sort();
}

/** One text for the state of all sources. */
export function consoleHash(root) {
  const hash = createHash('sha256');
  for (const path of sourcesOf(root)) {
    const bytes = existsSync(join(root, path)) ? readFileSync(join(root, path)) : Buffer.alloc(0);
    hash.update(`${path} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest('hex');
}

/**
 * True when there are sources, something to build them with, and no build of just these sources. A package that was installed
 * brings its build along and has no sources.
 */
export function consoleIsStale(root) {
  if (!existsSync(join(root, 'console', 'vite.config.ts')) || !existsSync(join(root, 'node_modules', 'vite')))
    return false;
  return builtFrom(join(root, 'console', 'dist')) !== consoleHash(root);
}

function builtFrom(dist) {
  try {
    return readFileSync(join(dist, '.built'), 'utf8').trim();
  } catch {
    return '';
  }
}

/** True for command lines that serve the console. */
export function servesConsole([command, ...parts]) {
  return command === 'start' && (parts.length === 0 || parts.includes('gateway'));
}
