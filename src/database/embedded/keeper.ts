// Whoever ends without stopping its server (a Ctrl-C during the start, a second one, a pipe that nobody reads, a bug) tells it to
// stop on the way out: it is in a session of its own, and would run on for nobody. Only a kill -9 leaves it to the next start.

export type Keeper = {
  /** From now on this server ends with this process. */
  hold(pid: number): void;
  /** It has ended, or is somebody else's; with a `pid` only if it is that one. */
  letGo(pid?: number): void;
};

/** Holds one server at a time. */
export function endWithUs(): Keeper {
  let held: number | undefined;
  const onExit = () => {
    try {
      // Fast shutdown. Nobody can have taken it over yet: our lock on the cluster ends with us.
      process.kill(held!, 'SIGINT');
    } catch {
      // It was faster.
    }
  };
  const letGo = (pid = held) => {
    if (pid !== held) return;
    held = undefined;
    process.off('exit', onExit);
  };
  return {
    hold(pid) {
      letGo();
      held = pid;
      process.on('exit', onExit);
    },
    letGo,
  };
}
