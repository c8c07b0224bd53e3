#!/usr/bin/env node
import { consoleIsStale, servesConsole } from './console.mjs';
import { root } from './install.mjs';
import { launch } from './launch.mjs';

const args = process.argv.slice(2);
launch('src/main.ts', args, {
  // Asked after the installation: what builds the console is a dependency.
  before: () => (servesConsole(args) && consoleIsStale(root) ? 'scripts/console.ts' : undefined),
});
