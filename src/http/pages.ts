// Pages of the gateway itself, without a script: the API's description, the errors, and what is said when there is no console.
// And the headers that every page of ours comes with.
import type { FastifyInstance, FastifyReply } from 'fastify';

const STYLE_PATH = '/docs/style.css';

/** What a page may load and do: its own files, and nothing inline but styles that carry the nonce. */
export function pageHeaders(nonce?: string): Readonly<Record<string, string>> {
  const style = nonce === undefined ? "'self'" : `'self' 'nonce-${nonce}'`;
  return {
    'content-security-policy': [
      "default-src 'self'",
      "script-src 'self'",
      `style-src ${style}`,
      "img-src 'self' data:",
      "font-src 'self'",
      "connect-src 'self'",
      "object-src 'none'",
      "base-uri 'none'",
      "form-action 'self'",
      "frame-ancestors 'none'",
    ].join('; '),
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), hid=(), midi=()',
  };
}

export type PageLink = { readonly href: string; readonly label: string };
export type Page = {
  readonly title: string;
  /** HTML that is safe already, and so is `aside`: a list of what is on the page, beside it where there is room. */
  readonly body: string;
  readonly aside?: string;
  /** The other pages of this service. */
  readonly links?: readonly PageLink[];
};

/** Answers with a page. */
export function sendPage(reply: FastifyReply, status: number, { title, body, aside, links = [] }: Page): FastifyReply {
  const nav = links.map(({ href, label }) => `<a href="${href}">${label}</a>`).join('');
  return reply
    .code(status)
    .headers({ ...pageHeaders(), 'cache-control': 'no-store' })
    .type('text/html; charset=utf-8')
    .send(
      `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">` +
        `<meta name="color-scheme" content="light dark"><title>${escapeHtml(title)} · Darkspere</title>` +
        `<link rel="stylesheet" href="${STYLE_PATH}"></head><body>` +
        (nav === '' ? '' : `<header><strong>Darkspere</strong><nav aria-label="Pages">${nav}</nav></header>`) +
        // What scrolls must be reachable with the keyboard.
        (aside === undefined ? '' : `<nav class="toc" aria-label="On this page" tabindex="0">${aside}</nav>`) +
        `<main>${body}</main></body></html>`,
    );
}

/** Adds the one style sheet of these pages. */
export function styleRoute(app: FastifyInstance): void {
  app.get(STYLE_PATH, async (_request, reply) =>
    reply
      .headers({ ...pageHeaders(), 'cache-control': 'public, max-age=300' })
      .type('text/css; charset=utf-8')
      .send(STYLE),
  );
}

export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (found) => entities[found]!);
}

/** The little Markdown that descriptions use: `code`, **strong**, [links](#…) and paragraphs. */
export function prose(text: string): string {
  return text
    .split('\n\n')
    .map((paragraph) => `<p>${inline(paragraph)}</p>`)
    .join('');
}

export function inline(text: string): string {
  return escapeHtml(text)
    .replace(/`([^`]+)`/g, '<code>$1</code>')
    .replace(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>')
    .replace(/\[([^\]]+)\]\(((?:#|\/)[^)\s]*)\)/g, '<a href="$2">$1</a>');
}

const STYLE = `
:root { color-scheme: light dark; --ink: light-dark(#1a1c22, #e8e9ee); --ink-2: light-dark(#585d6b, #a3a8b6);
  --line: light-dark(#dfe1e8, #2d303a); --sunk: light-dark(#f4f5f8, #1b1d24); --page: light-dark(#ffffff, #131419);
  --link: light-dark(#2450b8, #8fb2ff); --get: light-dark(#17714a, #6fd3a3); --change: light-dark(#8a4b00, #f0b060);
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; --bar: 3rem; }
* { box-sizing: border-box; }
html { scroll-padding-top: calc(var(--bar) + 1rem); }
body { margin: 0; background: var(--page); color: var(--ink); font: 14px/1.55 ui-sans-serif, system-ui, sans-serif; }
body > header { position: sticky; top: 0; z-index: 1; display: flex; align-items: center; justify-content: space-between; gap: 1rem;
  height: var(--bar); padding: 0 1.25rem; background: var(--page); border-bottom: 1px solid var(--line); }
body > header nav { display: flex; gap: 1.1rem; white-space: nowrap; }
body > header a { text-decoration: none; } body > header a:hover { text-decoration: underline; }
body > main { max-width: 56rem; margin: 0 auto; padding: 2rem 1.25rem 6rem; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; letter-spacing: -.015em; margin: 0 0 1rem; }
h2 { font-size: 1.25rem; margin: 3rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h2.code { font-size: 1rem; margin-top: 2rem; padding: 0; border: 0; }
h3 { font-size: 1rem; margin: 2rem 0 .35rem; }
h4 { font-size: .86rem; margin: 1.1rem 0 .3rem; color: var(--ink-2); font-weight: 600; }
a { color: var(--link); text-underline-offset: 2px; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 3px; }
p { margin: .5rem 0; } ul { padding-left: 1.2rem; margin: .35rem 0; } li { margin: .15rem 0; }
code, pre { font-family: var(--mono); font-size: .92em; } code { background: var(--sunk); border-radius: 4px; padding: .1em .3em; }
pre { background: var(--sunk); border: 1px solid var(--line); border-radius: 6px; padding: .75rem; white-space: pre-wrap; }
pre code { background: none; padding: 0; }
.fields { list-style: none; padding: 0; border-bottom: 1px solid var(--line); }
.fields li { margin: 0; padding: .3rem 0; border-top: 1px solid var(--line); }
.fields .fields { margin: .3rem 0 0 .75rem; padding-left: .75rem; border: 0; border-left: 1px solid var(--line); }
.fields .fields > li:first-child { border-top: 0; }
.verb { font-family: var(--mono); font-weight: 700; font-size: .8em; color: var(--change); margin-right: .5rem; } .verb.get { color: var(--get); }
.path { font-family: var(--mono); font-weight: 600; } .muted { color: var(--ink-2); } .type { color: var(--ink-2); font-family: var(--mono); font-size: .9em; }
.toc { max-height: 14rem; overflow-y: auto; padding: 1rem 1.25rem; border-bottom: 1px solid var(--line); columns: 18rem; font-size: .93em; }
.toc ul { list-style: none; padding: 0; margin: 0 0 .9rem; } .toc li { break-inside: avoid; margin: 0; }
.toc li a { display: block; padding: .12rem 0; color: var(--ink-2); text-decoration: none; overflow-wrap: anywhere; }
.toc li a:hover { color: var(--ink); } .toc .path { font-weight: 400; font-size: .95em; }
.toc .verb { display: inline-block; width: 4.6em; margin-right: 0; overflow-wrap: normal; }
.toc .group { display: block; margin-bottom: .15rem; color: var(--ink); font-weight: 600; text-decoration: none; }
.toc .group:hover { text-decoration: underline; }
@media (min-width: 64rem) {
  body:has(.toc) { display: grid; grid-template-columns: 20rem minmax(0, 1fr); }
  body:has(.toc) > header { grid-column: 1 / -1; }
  .toc { position: sticky; top: var(--bar); align-self: start; height: calc(100dvh - var(--bar)); max-height: none; columns: auto;
    border: 0; border-right: 1px solid var(--line); padding: 1.25rem; scrollbar-width: thin; }
  body:has(.toc) > main { width: 100%; padding-left: 2.5rem; padding-right: 2.5rem; }
}
`;
