// The pictures of the README: the console as it is, over a short story played on the real product. Run it after the console
// has changed: npm run screenshots (-- agent home: only these)
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { launchChromium } from '../test/support/chromium.ts';

const IMAGES = fileURLToPath(new URL('../docs/images', import.meta.url));
const MAIN = fileURLToPath(new URL('../bin/darkspere.mjs', import.meta.url));
const VIEWPORT = { width: 1440, height: 900 } as const;
/** Far from those that a copy of the developer's own may have. */
const PORT = 48_000;
const STORY = [
  ['+15557650142', 'what time is it in Tokyo?'],
  ['+15557650177', 'how many days until christmas'],
  ['+15557650121', 'help me out please'],
  ['+15557650163', '12% of 80'],
  ['+15557650142', '10 miles in km'],
] as const;
/** Names of pictures; none: all of them. */
const wanted = process.argv.slice(2);

const dataDir = await mkdtemp(join(tmpdir(), 'darkspere-screenshots-'));
const env = {
  ...process.env,
  PORT: String(PORT),
  MCP_ADAPTER_PORT: String(PORT + 1),
  AGENT_REGISTRATION_PORT: String(PORT + 2),
  WORKER_PORT: String(PORT + 5),
  DARKSPERE_SIMULATOR_PORT: String(PORT + 6),
  DARKSPERE_DEMO_AGENT_PORT: String(PORT + 7),
  DARKSPERE_DATA_DIR: dataDir,
  DARKSPERE_ENV_FILE: '',
  LOG_LEVEL: 'warn',
};
const program = spawn(process.execPath, [MAIN, 'start'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
const ended = new Promise((resolve) => program.once('exit', resolve));
try {
  const login = await loginAddress();
  const browser = await launchChromium();
  await mkdir(IMAGES, { recursive: true });
  const context = await browser.newContext({ viewport: VIEWPORT, deviceScaleFactor: 2, locale: 'en-US' });
  const page = await context.newPage();
  await page.goto(login);
  await page.waitForURL(`http://localhost:${PORT}/`);
  for (const [phone, text] of STORY) await tell(page, phone, text);
  const { id } = await openStory(page);
  const views = { home: '/', phone: '/phone?phone=%2B15557650142' };
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const [name, path] of Object.entries(views)) await take(page, path, `${name}-${colorScheme}`);
    await page.goto(`http://localhost:${PORT}/conversations/${id}`);
    await page.getByRole('list', { name: 'Messages' }).getByRole('button').nth(-1).click();
    await page.getByRole('list', { name: 'What happened, in order' }).waitFor();
    await shoot(page, `message-${colorScheme}`);
    await openAgent(page);
    await shoot(page, `agent-${colorScheme}`);
  }
  await browser.close();
} finally {
  program.kill('SIGTERM');
  await ended;
  await rm(dataDir, { recursive: true, force: true });
}

function loginAddress(): Promise<string> {
  let printed = '';
  return new Promise((resolve, reject) => {
    program.stdout.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
      const found = /http:\/\/\S+\/login#\S+/.exec(printed)?.[0];
      if (found && printed.includes('Ctrl-C stops')) resolve(found);
    });
    void ended.then(() => reject(new Error(`Darkspere did not start:\n${printed}`)));
  });
}

/** Somebody texts, and reads the answer. */
async function tell(page: Page, phone: string, text: string): Promise<void> {
  await page.goto(`http://localhost:${PORT}/phone?phone=${encodeURIComponent(phone)}`);
  await page.getByPlaceholder('Text').fill(text);
  await page.keyboard.press('Enter');
  await page.getByText('Delivered').last().waitFor();
  await page.waitForTimeout(3_000);
}

async function openStory(page: Page): Promise<{ id: string }> {
  await page.goto(`http://localhost:${PORT}/conversations`);
  const link = page.getByRole('list', { name: 'Conversations' }).getByRole('link').first();
  const href = (await link.getAttribute('href'))!;
  return { id: href.split('/')[2]!.split('?')[0]! };
}

/** The agent that answered, tried stage by stage just now. */
async function openAgent(page: Page): Promise<void> {
  await page.goto(`http://localhost:${PORT}/agents`);
  await page.getByRole('table').getByRole('link').first().click();
  await page.getByRole('button', { name: 'Probe now' }).click();
  await page.getByText('no stage failed').waitFor();
  await page.getByRole('list', { name: 'Calls' }).getByRole('listitem').first().waitFor();
}

async function take(page: Page, path: string, name: string): Promise<void> {
  await page.goto(`http://localhost:${PORT}${path}`);
  await page.waitForLoadState('networkidle');
  await shoot(page, name);
}

async function shoot(page: Page, name: string): Promise<void> {
  if (wanted.length > 0 && !wanted.some((each) => name.startsWith(`${each}-`))) return;
  await page.waitForTimeout(1_200);
  await page.screenshot({ path: join(IMAGES, `${name}.png`) });
  console.log(`docs/images/${name}.png`);
}
