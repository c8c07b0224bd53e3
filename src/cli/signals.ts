// What a signal means to a command. Every end goes through process.exit, so that what has to end with this process does.
import { constants } from 'node:os';
import { isatty } from 'node:tty';

/** A terminal that is closed says SIGHUP. Asked at once: of one that is closed nobody can tell any more that it was one. */
const HAS_TERMINAL = [0, 1, 2].some((fd) => isatty(fd));
/** Without a terminal SIGHUP is for others: whoever is started with nohup, or in the background, shall go on. */
const MEANT_FOR_US = HAS_TERMINAL ? (['SIGINT', 'SIGTERM', 'SIGHUP'] as const) : (['SIGINT', 'SIGTERM'] as const);

/** Calls `stop` for every signal that tells this process to end. */
export function onEnd(stop: () => void): void {
  for (const signal of MEANT_FOR_US) process.on(signal, stop);
}

/** Until a command listens itself a signal ends it at once, with the exit code that a shell expects. */
export function endOnSignals(): void {
  process.on('SIGHUP', () => {});
  for (const signal of MEANT_FOR_US) {
    process.on(signal, () => {
      if (process.listenerCount(signal) === 1) process.exit(128 + constants.signals[signal]);
    });
  }
}
