// What tests see the console with: one browser per test file, a window of its own per test, and a watch over everything that
// goes wrong in it, whether or not the test looks there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Locator, Page, Request } from 'playwright-core';
import { messageOf } from '../../src/errors.ts';
import { launchChromium } from './chromium.ts';

export type { Page } from 'playwright-core';

export type WindowOptions = {
  readonly colorScheme?: 'light' | 'dark';
  readonly viewport?: { readonly width: number; readonly height: number };
  /** Default on: what moves only to look good stands still. */
  readonly reducedMotion?: boolean;
  /** The log lines of whatever answers, as JSON. */
  readonly log?: readonly string[];
};

const WIDE = { width: 1280, height: 800 } as const;
/** As the phones that most people have. */
export const NARROW = { width: 390, height: 844 } as const;
/** For whatever a test waits for on a page; machines that run tests are busy. */
const PATIENCE_MS = 15_000;
/** Characters of a page that a test failed on. */
const MOST_SHOWN = 4_000;

let launched: Promise<Browser> | undefined;

// At the top level of the importing file, so that it runs after the last of its tests.
after(async () => {
  await (await launched)?.close();
});

/** The browser of this test file. */
function openBrowser(): Promise<Browser> {
  launched ??= launchChromium();
  return launched;
}

type Accepts = (problem: string) => boolean;
type Watch = { readonly problems: string[]; readonly expected: Accepts[] };
const watches = new WeakMap<BrowserContext, Watch>();

/**
 * A window with cookies and storage of its own, closed with the test. The test fails when anything in it reported an error, broke
 * the content policy, asked another origin than `origin` or got no answer, unless `expectProblem` announced it.
 */
export async function openWindow(t: TestContext, origin: string, options: WindowOptions = {}): Promise<Page> {
  const browser = await openBrowser();
  const context = await browser.newContext({
    baseURL: origin,
    colorScheme: options.colorScheme ?? 'light',
    viewport: options.viewport ?? WIDE,
    reducedMotion: options.reducedMotion === false ? 'no-preference' : 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
    // So that times read the same everywhere.
    locale: 'en-US',
    timezoneId: 'UTC',
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const watch: Watch = { problems: [], expected: [] };
  watches.set(context, watch);
  watchOver(context, new URL(origin).origin, watch.problems);
  t.after(async () => {
    const unexpected = watch.problems.filter((problem) => !watch.expected.some((accepts) => accepts(problem)));
    // Documented, and missing in the types.
    const { passed } = t as TestContext & { readonly passed: boolean };
    if (!passed || unexpected.length > 0) await showWhatWas(t, context, watch.problems, options.log);
    await context.close();
    assert.deepEqual(unexpected, [], 'the browser had something to report');
  });
  return context.newPage();
}

/** For whoever reads of a failure on a machine that they cannot look at. */
async function showWhatWas(
  t: TestContext,
  context: BrowserContext,
  problems: readonly string[],
  log: readonly string[] = [],
): Promise<void> {
  const lines = problems.map((problem) => `reported: ${problem}`);
  lines.push(...log.filter((line) => /"level":[56]0/.test(line)).map((line) => `logged: ${line.trim()}`));
  for (const page of context.pages()) {
    const shown = await page.ariaSnapshot({ timeout: PATIENCE_MS }).catch(messageOf);
    lines.push(`the page at ${page.url()}:`, shown.slice(0, MOST_SHOWN));
  }
  console.log(`${t.name}: when it failed\n${lines.join('\n')}`.replaceAll('\n', '\n    '));
}

/** Problems whose report mentions all of this belong to the test. */
export function expectProblem(page: Page, ...mentioned: string[]): void {
  watches.get(page.context())!.expected.push((problem) => mentioned.every((part) => problem.includes(part)));
}

function watchOver(context: BrowserContext, origin: string, problems: string[]): void {
  context.on('console', (message) => {
    if (message.type() === 'error') problems.push(`console: ${message.text()} (${message.location().url})`);
  });
  context.on('weberror', (thrown) => problems.push(`thrown: ${thrown.error().stack ?? thrown.error().message}`));
  context.on('request', (request) => {
    if (isForeign(request, origin)) problems.push(`asked another origin: ${request.url()}`);
  });
  context.on('requestfailed', (request) => {
    const why = request.failure()?.errorText ?? 'unknown';
    // Given up by the page: it went elsewhere or asks anew.
    if (why !== 'net::ERR_ABORTED') problems.push(`no answer: ${request.method()} ${request.url()}: ${why}`);
  });
}

function isForeign(request: Request, origin: string): boolean {
  const url = new URL(request.url());
  return !['data:', 'blob:', 'about:'].includes(url.protocol) && url.origin !== origin;
}

/** Mends what was broken: at once, or by pressing a button that asks for it again. */
export type Mend = (by?: Locator) => Promise<void>;

/**
 * Lets requests for `path` (the rest of the URL does not matter) break off, as when the gateway dies; returns how to end that.
 * Whatever happens may have the console ask again, so a button is only sure to be there while they break off: with one, they
 * do until it is pressed.
 */
export async function breakCalls(page: Page, path: string): Promise<Mend> {
  const isIt = (url: URL) => url.pathname === path;
  let isMendedByPress = false;
  expectProblem(page, path, 'ERR_FAILED');
  await page.route(isIt, async (route) => {
    const isMended = isMendedByPress && (await page.evaluate<boolean>('window.isPressed'));
    await (isMended ? route.fallback() : route.abort('failed'));
  });
  return async (by) => {
    if (by) {
      // Before any listener of the page: what it asks because of the press finds it set.
      await page.evaluate(`window.isPressed = false;
        addEventListener('click', () => { window.isPressed = true; }, { capture: true, once: true })`);
      isMendedByPress = true;
      await by.click();
    }
    await page.unroute(isIt);
  };
}

/** Answers GETs of `path` with what the gateway would say in a situation that is hard to bring about. */
export async function answerCalls(page: Page, path: string, body: unknown, status = 200): Promise<() => Promise<void>> {
  const isIt = (url: URL) => url.pathname === path;
  if (status >= 400) expectProblem(page, path, `status of ${status}`);
  await page.route(isIt, (route) =>
    route.request().method() === 'GET' ? route.fulfill({ status, json: body }) : route.fallback(),
  );
  return () => page.unroute(isIt);
}

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
const STANDARDS: RunOnly = {
  type: 'tag',
  values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
};
/** What a theme can change. */
const COLOURS: RunOnly = { type: 'rule', values: ['color-contrast', 'link-in-text-block'] };

type RunOnly = { readonly type: 'tag' | 'rule'; readonly values: readonly string[] };

type Finding = {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { failureSummary?: string; html: string }[];
};

/**
 * Asserts that axe finds nothing to object to in this theme, nor to the colours of the other one; the page is left in the theme it
 * had. `without` names rules that do not fit what is open.
 */
export async function assertAccessible(page: Page, without: readonly string[] = []): Promise<void> {
  const before = (await page.evaluate<boolean>(`matchMedia('(prefers-color-scheme: dark)').matches`))
    ? 'dark'
    : 'light';
  const other = before === 'dark' ? 'light' : 'dark';
  for (const colorScheme of [before, other] as const) {
    await page.emulateMedia({ colorScheme });
    const offences = (await findings(page, colorScheme === before ? STANDARDS : COLOURS, without)).flatMap(
      ({ id, help, nodes }) =>
        nodes.map(({ html, failureSummary }) => `${colorScheme}: ${id}: ${help}\n${html}\n${failureSummary ?? ''}`),
    );
    assert.deepEqual(offences, [], `${page.url()} is not accessible`);
  }
  await page.emulateMedia({ colorScheme: before });
}

/** Through the debugger: the content policy, rightly, lets no page run what came from outside. */
async function findings(page: Page, runOnly: RunOnly, without: readonly string[]): Promise<readonly Finding[]> {
  const session = await page.context().newCDPSession(page);
  try {
    const run = async (expression: string) => {
      const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
        expression,
        awaitPromise: true,
        returnByValue: true,
      });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value as unknown;
    };
    await run(`typeof axe === 'undefined' ? void (() => { ${AXE} })() : undefined`);
    const rules = Object.fromEntries(without.map((rule) => [rule, { enabled: false }]));
    const options = { runOnly, resultTypes: ['violations'], rules };
    return (await run(
      `axe.run(document, ${JSON.stringify(options)}).then(({ violations }) => violations.map(({ id, help, nodes }) =>
        ({ id, help, nodes: nodes.map(({ html, failureSummary }) => ({ html, failureSummary })) })))`,
    )) as readonly Finding[];
  } finally {
    await session.detach();
  }
}
