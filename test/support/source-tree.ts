// The repository as text: what the architecture test looks at.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Every file of the project, from the root, with `/`: committed ones and new ones, nothing that is ignored. */
export function projectFiles(): string[] {
  const list = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 16 * 1024 * 1024,
  });
  return list.split('\0').filter((path) => path !== '' && existsSync(join(ROOT, path)));
}

export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** A TypeScript source without its comments; strings stay. Good enough for code that biome has formatted. */
export function withoutComments(source: string): string {
  return source.replace(/^\s*\/\/.*$|\s\/\/ .*$|\/\*[\s\S]*?\*\//gm, '');
}

/** SQL without its comments. */
export function withoutSqlComments(source: string): string {
  return source.replace(/--.*$/gm, '');
}

/** What a file imports, as written: static, dynamic and re-exported; with `types: false` without what is gone at run time. */
export function importsOf(source: string, { types = true } = {}): string[] {
  const code = types
    ? withoutComments(source)
    : withoutComments(source).replace(/^(?:import|export) type\b[^;]*;/gm, '');
  const found = [
    ...code.matchAll(/^(?:import|export)\b[^'";]*?\bfrom\s+'([^']+)'/gm),
    ...code.matchAll(/^import\s+'([^']+)'/gm),
    ...code.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g),
  ];
  return found.map((match) => match[1]!);
}

/** The project file that a relative import of `from` means. */
export function resolveImport(from: string, specifier: string): string {
  return normalize(join(dirname(from), specifier)).replaceAll('\\', '/');
}

/** The argument lists of every call whose callee matches `callee` (a pattern that ends with the opening parenthesis). */
export function callsOf(source: string, callee: RegExp): string[] {
  const calls: string[] = [];
  for (const match of source.matchAll(callee)) {
    let depth = 1;
    let end = match.index + match[0].length;
    for (; depth > 0 && end < source.length; end++) {
      if (source[end] === '(') depth++;
      else if (source[end] === ')') depth--;
    }
    calls.push(source.slice(match.index + match[0].length, end - 1).trim());
  }
  return calls;
}
