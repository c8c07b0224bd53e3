// What a README tells its reader to do and to expect.
import { read } from './source-tree.ts';

/** The fenced blocks of a page in one language; without a language those that have none. */
export function blocks(page: string, language = ''): string[] {
  return [...read(page).matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'gm'))]
    .map((match) => match[1]!)
    .filter((block) => block !== '');
}

/** The commands of a page, without their comments. */
export function commands(page: string): string[] {
  return blocks(page, 'sh')
    .flatMap((block) => block.split('\n'))
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line !== '');
}

/** The conversations of a page: what is texted after `>`, and what comes back. */
export function conversations(page: string): { texts: string[]; replies: string[] }[] {
  return blocks(page)
    .filter((block) => block.startsWith('> '))
    .map((block) => {
      const lines = block.trimEnd().split('\n');
      return {
        texts: lines.filter((line) => line.startsWith('> ')).map((line) => line.slice(2)),
        replies: lines.filter((line) => !line.startsWith('> ')),
      };
    });
}
