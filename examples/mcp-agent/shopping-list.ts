// What the agent says: a pure function of what was said and of the list so far.

export type List = readonly string[];

const HELP = 'Text "add milk, bread", "remove milk", "list" or "clear".';

export function answer(message: string, list: List): { readonly reply: string; readonly list: List } {
  const [, verb = '', rest = ''] = /^\s*(\w+)\s*(.*)$/s.exec(message) ?? [];
  const things = rest
    .split(/,|\band\b/)
    .map((thing) => thing.trim())
    .filter((thing) => thing !== '');
  switch (verb.toLowerCase()) {
    case 'add':
      return things.length === 0
        ? { reply: HELP, list }
        : withReply([...list, ...things.filter((thing) => !list.includes(thing))]);
    case 'remove':
      return things.length === 0 ? { reply: HELP, list } : withReply(list.filter((thing) => !things.includes(thing)));
    case 'list':
      return withReply(list);
    case 'clear':
      return withReply([]);
    default:
      return { reply: HELP, list };
  }
}

function withReply(list: List) {
  return { reply: list.length === 0 ? 'The list is empty.' : `On the list: ${list.join(', ')}.`, list };
}
