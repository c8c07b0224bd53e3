// What time it is. The times on a page are the database's, and the clock of the machine in front of it may be minutes off: what they
// are compared with is the gateway's, which follows the database's.
let aheadMs = 0;

/** Told with every beat of the stream. */
export function hearTime(at: string): void {
  aheadMs = Date.parse(at) - Date.now();
}

/** Milliseconds since 1970, as the gateway has them; the browser's own until the first beat. */
export function gatewayNow(): number {
  return Date.now() + aheadMs;
}
