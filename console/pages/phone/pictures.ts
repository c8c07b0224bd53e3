// Pictures to send, and which of those that arrive may be shown: only what comes from our own gateway, because the page must
// tell nobody else's server who looks at it, and its CSP forbids it anyway.

export type Sample = { readonly path: string; readonly label: string };
export const SAMPLES: readonly Sample[] = [
  { path: '/pictures/receipt.png', label: 'A receipt' },
  { path: '/pictures/whiteboard.png', label: 'A whiteboard' },
  { path: '/pictures/hills.jpg', label: 'A landscape' },
];

/** The picture's address on this gateway; null when it is elsewhere. */
export function ownPath(url: string, publicUrl: string): string | null {
  const parsed = URL.parse(url);
  const isOurs =
    parsed !== null && (parsed.origin === location.origin || parsed.origin === URL.parse(publicUrl)?.origin);
  return isOurs ? parsed.pathname + parsed.search : null;
}

export function hostOf(url: string): string {
  return URL.parse(url)?.host ?? 'nowhere';
}
