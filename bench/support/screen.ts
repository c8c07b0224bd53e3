// What a person at the console sees, measured in a real browser: when words are painted, and which rows are missing while
// somebody scrolls. Scripts run in the page; nothing of the console knows of them.
import type { BrowserContext, Page } from 'playwright-core';
import type { Sql } from '../../src/database/pools.ts';
import { createLoginToken, loginUrl } from '../../src/security/sessions.ts';

/** Milliseconds since 1970 at which each text number of a load was on the screen for the first time. */
export type Seen = ReadonlyMap<number, number>;

export const nowMs = (): number => performance.timeOrigin + performance.now();

/** Signs in as the printed address does, and waits for what home reads of the day: it keeps the database busy. */
export async function signIn(page: Page, sql: Sql, origin: string): Promise<void> {
  const { token } = await createLoginToken(sql);
  const overview = page.waitForResponse((response) => new URL(response.url()).pathname === '/v1/overview');
  await page.goto(loginUrl(origin, token));
  await overview;
}

/** Before any page of `context` is opened. */
export async function prepareWatching(context: BrowserContext): Promise<void> {
  await context.addInitScript(SCRIPT);
}

/** From now on texts of `load` are looked for inside `selector`, where they can be seen. */
export async function watchTexts(page: Page, load: string, selector: string): Promise<void> {
  await page.evaluate(`bench.watch(${JSON.stringify(load)}, ${JSON.stringify(selector)})`);
}

export async function textsSeen(page: Page): Promise<Seen> {
  return new Map(await page.evaluate<[number, number][]>('[...bench.seen]'));
}

/** Since when nothing larger may have been painted until what is there counts as the largest, milliseconds. */
const SETTLED_MS = 2_000;

/**
 * Opens a page with nothing in the browser's cache; milliseconds from the start of the navigation to its largest contentful paint,
 * as the browser tells it.
 */
export async function largestPaint(page: Page, path: string): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.clearBrowserCache');
  await session.detach();
  await page.goto(path, { waitUntil: 'commit' });
  return page.evaluate<number>(`new Promise((done) => {
    let [largestMs, timer] = [0, 0];
    new PerformanceObserver((list) => {
      largestMs = list.getEntries().at(-1).startTime;
      clearTimeout(timer);
      timer = setTimeout(() => done(largestMs), ${SETTLED_MS});
    }).observe({ type: 'largest-contentful-paint', buffered: true });
  })`);
}

export type Scroll = {
  readonly frames: number;
  /** Of these, frames in which a row that is known was not drawn. */
  readonly blankFrames: number;
  /** The most pixels of the list without a row in one frame. */
  readonly mostBlankPx: number;
  /** Frames in which the list had come to its end because older ones were still being read. */
  readonly waitingFrames: number;
  readonly rows: number;
  readonly seconds: number;
  readonly frameMs: readonly number[];
};

/** Scrolls the list down with the wheel's own path through the browser, pixels a second, and looks at every frame. */
export async function scrollList(page: Page, selector: string, pxPerSecond: number, seconds: number): Promise<Scroll> {
  const box = await page.locator(selector).first().boundingBox();
  if (!box) throw new Error('The list is not on the page.');
  await page.evaluate(`bench.look(${JSON.stringify(selector)})`);
  const session = await page.context().newCDPSession(page);
  const startedMs = performance.now();
  await session.send('Input.synthesizeScrollGesture', {
    x: Math.round(box.x + box.width / 2),
    y: Math.round(box.y + 200),
    yDistance: -pxPerSecond * seconds,
    speed: pxPerSecond,
    gestureSourceType: 'mouse',
  });
  const took = (performance.now() - startedMs) / 1_000;
  await session.detach();
  return { ...(await page.evaluate<Omit<Scroll, 'seconds'>>('bench.looked()')), seconds: took };
}

/** Painted means: a frame after the words were in the page, behind its paint. */
const SCRIPT = `
  window.bench = (() => {
    const now = () => performance.timeOrigin + performance.now();
    /** Calls back when the frame that is being made is on its way to the screen. */
    const painted = (then) => requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => then(now());
      port2.postMessage(0);
    });
    const seen = new Map();
    let observer = null;
    function watch(load, selector) {
      seen.clear();
      observer?.disconnect();
      const pattern = new RegExp('\\\\b' + load + 'x(\\\\d+)\\\\b');
      let isAsked = false;
      const look = () => {
        isAsked = false;
        const root = document.querySelector(selector);
        if (!root) return;
        const edge = root.getBoundingClientRect();
        const fresh = [];
        for (const item of root.querySelectorAll('li')) {
          const at = item.getBoundingClientRect();
          if (at.bottom <= edge.top || at.top >= edge.bottom) continue;
          for (const words of item.querySelectorAll('span')) {
            // Only what holds nothing but words: numbers beside each other would be read as one.
            const n = words.childElementCount === 0 && pattern.exec(words.textContent)?.[1];
            if (n && !seen.has(Number(n))) fresh.push(Number(n));
          }
        }
        if (fresh.length > 0) painted((ms) => { for (const n of fresh) if (!seen.has(n)) seen.set(n, ms); });
      };
      observer = new MutationObserver(() => {
        if (isAsked) return;
        isAsked = true;
        queueMicrotask(look);
      });
      observer.observe(document.body, { subtree: true, childList: true, characterData: true });
    }
    let state = null;
    function look(selector) {
      const scroller = document.querySelector(selector);
      state = { frames: 0, blankFrames: 0, mostBlankPx: 0, waitingFrames: 0, rows: 0, frameMs: [] };
      const mine = state;
      let lastMs = performance.now();
      const frame = () => painted(() => {
        if (state !== mine) return;
        const list = scroller.querySelector('ul').getBoundingClientRect();
        const edge = scroller.getBoundingClientRect();
        const [top, bottom] = [Math.max(edge.top, list.top), Math.min(edge.bottom, list.bottom)];
        let covered = 0;
        for (const item of scroller.querySelectorAll('ul > li')) {
          const at = item.getBoundingClientRect();
          covered += Math.max(0, Math.min(at.bottom, bottom) - Math.max(at.top, top));
        }
        const blank = Math.round(Math.max(0, bottom - top) - covered);
        mine.frames++;
        if (blank > 1) mine.blankFrames++;
        mine.mostBlankPx = Math.max(mine.mostBlankPx, blank);
        if (list.bottom < edge.bottom - 1) mine.waitingFrames++;
        mine.rows = Math.round(list.height / scroller.querySelector('ul > li').getBoundingClientRect().height);
        const at = performance.now();
        mine.frameMs.push(at - lastMs);
        lastMs = at;
        frame();
      });
      frame();
    }
    function looked() {
      const result = state;
      state = null;
      return result;
    }
    return { seen, watch, look, looked };
  })();`;
