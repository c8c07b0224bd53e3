// Whether somebody wants to read in peace: what is on the page does not move by itself then. In a file of its own, for what
// knows no stream.
let paused = false;

export const isPaused = (): boolean => paused;

export function setPaused(to: boolean): void {
  paused = to;
}
