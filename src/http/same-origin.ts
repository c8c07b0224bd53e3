// Whether a browser sends a request for a page of ours or for somebody else's. SameSite alone does not tell: every other
// program on localhost is the same site.
import type { FastifyRequest } from 'fastify';
import { DarkspereError } from '../errors.ts';

/**
 * Throws `csrf_refused` for a request of a foreign page. Browsers say where one comes from in `Sec-Fetch-Site` and `Origin`,
 * which no page can set; what they say must be right, and with `mustSay` something must be said.
 */
export function refuseForeignPages(request: FastifyRequest, ours: { origin: string; mustSay: boolean }): void {
  const { origin, host } = request.headers;
  const site = request.headers['sec-fetch-site'];
  // `none`: somebody typed the address.
  if (site !== undefined && site !== 'same-origin' && !(site === 'none' && !ours.mustSay)) {
    throw new DarkspereError('csrf_refused', 'This request comes from a page of another site.', {
      param: 'Sec-Fetch-Site',
    });
  }
  if (origin !== undefined && origin !== ours.origin && hostOf(origin) !== host) {
    throw new DarkspereError(
      'csrf_refused',
      `This request comes from a page of another origin. The console is at ${ours.origin}; if that is wrong, set DARKSPERE_CONSOLE_URL, or let your proxy pass on the Host header.`,
      { param: 'Origin' },
    );
  }
  if (ours.mustSay && site === undefined && origin === undefined) {
    throw new DarkspereError(
      'csrf_refused',
      'A request with a session must say where it comes from, as browsers do. Programs use an API key: npx darkspere keys add',
      { param: 'Origin' },
    );
  }
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}
