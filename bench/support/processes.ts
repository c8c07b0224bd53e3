// CPU time and memory of processes, read from /proc. On systems without it every figure is NaN and shown as n/a.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export type Usage = { readonly cpuSeconds: number; readonly memoryMb: number };

const ticksPerSecond = (() => {
  try {
    return Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  } catch {
    return 100;
  }
})();

/** A process alone, or with the processes it started (their CPU is counted after their end as well). */
export function usage(pid: number, withChildren = false): Usage {
  const pids = withChildren ? [pid, ...childrenOf(pid)] : [pid];
  let cpuSeconds = 0;
  let memoryMb = 0;
  for (const each of pids) {
    const stat = read(`/proc/${each}/stat`);
    if (stat === null) {
      if (each === pid) return { cpuSeconds: Number.NaN, memoryMb: Number.NaN };
      continue;
    }
    // Behind the name, which may hold spaces: state is field 3, utime and stime 14 and 15, those of ended children 16 and 17.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    cpuSeconds += (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    if (withChildren && each === pid) cpuSeconds += (Number(fields[13]) + Number(fields[14])) / ticksPerSecond;
    // Shared pages are counted once (PSS): resident sizes would count PostgreSQL's buffers once for each connection.
    memoryMb += Number(/^Pss: +(\d+)/m.exec(read(`/proc/${each}/smaps_rollup`) ?? '')?.[1] ?? Number.NaN) / 1024;
  }
  return { cpuSeconds, memoryMb };
}

export type Peak = { readonly peakRssMb: number; readonly rssMb: number; readonly pssMb: number };

/** A process's memory now, and the most it ever had resident since its start; resident includes what it shares with others. */
export function memoryOf(pid: number): Peak {
  const status = read(`/proc/${pid}/status`) ?? '';
  const mb = (text: string, name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN) / 1024;
  return {
    peakRssMb: mb(status, 'VmHWM'),
    rssMb: mb(status, 'VmRSS'),
    pssMb: mb(read(`/proc/${pid}/smaps_rollup`) ?? '', 'Pss'),
  };
}

/** How many files and sockets this process and those it starts may have open; null where that is not known. */
export function openFilesLimit(): number | null {
  const limit = /^Max open files +\d+ +(\d+)/m.exec(read('/proc/self/limits') ?? '')?.[1];
  return limit === undefined ? null : Number(limit);
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => new RegExp(`\\) \\S ${pid} `).test(read(`/proc/${name}/stat`) ?? ''))
    .map(Number);
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

export type Watched = Readonly<Record<string, () => Usage>>;
export type Load = {
  readonly name: string;
  readonly cpuPercent: number;
  readonly cpuSeconds: number;
  readonly memoryMb: number;
};

/** Starts watching; the returned function says what each process used of one core since then, and its memory now. */
export function watch(watched: Watched): () => Load[] {
  const startedMs = performance.now();
  const before = Object.entries(watched).map(([name, take]) => ({ name, take, cpuSeconds: take().cpuSeconds }));
  return () => {
    const seconds = (performance.now() - startedMs) / 1000;
    return before.map(({ name, take, cpuSeconds }) => {
      const now = take();
      const used = now.cpuSeconds - cpuSeconds;
      return { name, cpuPercent: (used / seconds) * 100, cpuSeconds: used, memoryMb: now.memoryMb };
    });
  };
}
