#!/usr/bin/env node
// `npm test`: everything from a fresh clone to the count of tests.
import { launch } from './launch.mjs';

launch('scripts/test.ts', process.argv.slice(2), { dev: true });
