// A test run reduced to its server and one process beside it, for a test that kills it: prints both ids when they are there.
import { spawn } from 'node:child_process';
import { endChildWithUs } from './left-behind.ts';
import { startTestServer } from './server.ts';

const { pid } = await startTestServer();
const beside = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
endChildWithUs(beside);
process.stdout.write(`${JSON.stringify({ server: pid, beside: beside.pid })}\n`);
