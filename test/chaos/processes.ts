// Gateways and workers as child processes under a supervisor that starts them again whatever they died of, as systemd or
// Kubernetes does.
import { setTimeout as pause } from 'node:timers/promises';
import type { Part } from '../../src/config.ts';
import { runProgram } from '../support/program.ts';
import { until } from '../support/until.ts';

export type Slot = {
  readonly name: string;
  readonly part: Part;
  readonly env: Readonly<Record<string, string>>;
};

export type Supervised = ReturnType<typeof supervise>;

const READY = 'Darkspere is ready';
const AGAIN_MS = 100;

/** Keeps one process running until `stop`. */
export function supervise({ name, part, env }: Slot) {
  let current = runProgram(['start', part], env);
  let stopping = false;
  let downMs = AGAIN_MS;
  let deaths = 0;
  let isIntended = false;
  const lastWords: string[] = [];
  const outputs: string[] = [];

  const watched = (async () => {
    for (;;) {
      const { code, signal } = await current.exited;
      deaths += 1;
      outputs.push(current.output());
      if (!isIntended) lastWords.push(`${name} (${code ?? signal}): ${tailOf(current.output())}`);
      isIntended = false;
      if (stopping) return { code, signal };
      await pause(downMs);
      downMs = AGAIN_MS;
      if (stopping) return { code, signal };
      current = runProgram(['start', part], env);
    }
  })();

  return {
    name,
    part,
    /** Starts after the first one. */
    get restarts() {
      return deaths;
    },
    /** Deaths that nobody asked for: how each ended, and the last line it printed. */
    surprises: () => [...lastWords],
    /** Everything that any of its processes has printed. */
    output: () => [...outputs, current.output()].join(''),
    isReady: () => current.output().includes(READY),
    async ready(): Promise<void> {
      const started = until(() => current.output().includes(READY), {
        what: `the start of ${name}`,
        timeoutMs: 60_000,
      });
      await started.catch((error) => {
        throw new Error([error.message, ...lastWords, current.output()].join('\n'));
      });
    },
    /** Ends the process; another one is started `forMs` later. */
    end(signal: 'SIGKILL' | 'SIGTERM', forMs: number): void {
      isIntended = true;
      downMs = forMs;
      current.child.kill(signal);
    },
    freeze: () => current.child.kill('SIGSTOP'),
    thaw: () => current.child.kill('SIGCONT'),
    /** Ends it for good and says how it ended. */
    async stop(signal: 'SIGKILL' | 'SIGTERM' = 'SIGTERM') {
      isIntended = true;
      stopping = true;
      current.child.kill('SIGCONT');
      current.child.kill(signal);
      return watched;
    },
  };
}

/** The end of what a process printed: its last line in the log, or the stack of what killed it. */
function tailOf(output: string): string {
  const lines = output.trim().split('\n');
  const thrown = lines.findLastIndex((line) => /^\w*Error\b/.test(line));
  return thrown >= 0 ? lines.slice(thrown, thrown + 6).join('\n') : (lines.at(-1) ?? '');
}
