// How a conversation looks in a terminal.
import { styleText } from 'node:util';
import { printable } from './output.ts';
import type { PhoneEvent } from './phone-line.ts';

export type Look = {
  /** Replies as bubbles instead of one line per text. */
  readonly bubbles: boolean;
  readonly color: boolean;
  readonly columns: number;
};

/** States in which a text stays. */
const FINAL = new Set(['received', 'delivered', 'undelivered', 'failed']);

/** Lines of at most `width` characters; a longer word keeps a line of its own. */
export function wrap(text: string, width: number): string[] {
  return text.split('\n').flatMap((paragraph) => {
    const lines = [''];
    for (const word of paragraph.split(' ')) {
      const line = lines.at(-1)!;
      const joined = line === '' ? word : `${line} ${word}`;
      if (line === '' || [...joined].length <= width) lines[lines.length - 1] = joined;
      else lines.push(word);
    }
    return lines;
  });
}

function stateOf(event: PhoneEvent): string {
  if (event.type === 'status' && event.status === 'received') return 'delivered';
  const reason = [event.detail, event.error_code].filter((part) => part !== undefined).join(', ');
  return reason === '' ? event.status : `${event.status} (${printable(reason)})`;
}

/** What to print for an event, without the last newline; null for an event that only passes through. */
export function render(event: PhoneEvent, phone: string, look: Look): string | null {
  if (event.type !== 'status' || !FINAL.has(event.status)) return null;
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    look.color ? styleText(style, text, { validateStream: false }) : text;
  const isMine = event.from === phone;
  const time = paint('dim', new Date(event.at).toLocaleTimeString('en-GB'));
  const state = paint(event.error_code === undefined ? 'green' : 'red', stateOf(event));
  const text = printable([event.body, ...(event.media_urls ?? [])].filter((part) => part !== '').join('\n'));
  if (isMine || !look.bubbles) {
    const who = isMine ? `you → ${printable(event.to)}` : `${printable(event.from)} → you`;
    // Further lines are indented, so that a text cannot look like another line of the conversation.
    return `${time}  ${who}  ${text.replaceAll('\n', '\n          ')}  ${state}`;
  }
  const bar = paint('cyan', '│');
  const lines = wrap(text, Math.max(20, Math.min(72, look.columns - 6))).map((line) => `  ${bar} ${line}`);
  const size = event.segments === 1 ? '' : ` · ${event.segments} segments`;
  const head = `${time}  ${paint('bold', printable(event.from))}`;
  return [head, `  ${paint('cyan', '╭')}`, ...lines, `  ${paint('cyan', '╰')} ${state}${paint('dim', size)}`].join(
    '\n',
  );
}
