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

/** Answers with a page; `body` is HTML that is safe already. */
export function sendPage(reply: FastifyReply, status: number, page: { title: string; body: string }): FastifyReply {
  return reply
    .code(status)
    .headers({ ...pageHeaders(), 'cache-control': 'no-store' })
    .type('text/html; charset=utf-8')
    .send(
      `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">` +
        `<meta name="color-scheme" content="light dark"><title>${escapeHtml(page.title)} · Darkspere</title>` +
        `<link rel="stylesheet" href="${STYLE_PATH}"></head><body>${page.body}</body></html>`,
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
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.55 system-ui, sans-serif; }
body > main { max-width: 58rem; margin: 0 auto; padding: 2rem 1.25rem 6rem; overflow-wrap: anywhere; }
body > nav { border-bottom: 1px solid var(--line); padding: .75rem 1.25rem; display: flex; gap: 1.25rem; flex-wrap: wrap; }
body > nav strong { margin-right: auto; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.75rem 0 .35rem; }
h4 { font-size: .82rem; margin: 1rem 0 .25rem; color: var(--ink-2); font-weight: 600; }
a { color: var(--link); } a:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 3px; }
p { margin: .5rem 0; } ul { padding-left: 1.2rem; margin: .35rem 0; } li { margin: .15rem 0; }
code, pre { font-family: var(--mono); font-size: .88em; } code { background: var(--sunk); border-radius: 4px; padding: .1em .3em; }
pre { background: var(--sunk); border: 1px solid var(--line); border-radius: 6px; padding: .75rem; overflow-x: auto; }
pre code { background: none; padding: 0; }
.verb { font-family: var(--mono); font-weight: 700; font-size: .8em; color: var(--change); margin-right: .5rem; } .verb.get { color: var(--get); }
.path { font-family: var(--mono); font-weight: 600; } .muted { color: var(--ink-2); } .type { color: var(--ink-2); font-family: var(--mono); font-size: .85em; }
a:has(.verb) { text-decoration: none; } a:has(.verb):hover .path { text-decoration: underline; }
.toc { columns: 20rem; padding: 0; list-style: none; font-size: .92em; }
`;
