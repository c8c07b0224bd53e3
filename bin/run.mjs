#!/usr/bin/env node
// Runs a script of the repository under the pinned Node: node bin/run.mjs scripts/check.ts
import { launch } from './launch.mjs';

const [script, ...args] = process.argv.slice(2);
launch(script, args, { dev: true });
