// Reads what a webhook answered: TwiML, as far as messages go. Strict where Twilio is, because a reply in a document that
// is not well-formed is lost (12100).

export type TwimlMessage = { readonly body: string; readonly mediaUrls: readonly string[] };

export type WebhookAnswer =
  | { readonly kind: 'messages'; readonly messages: readonly TwimlMessage[] }
  /** Twilio's debugger code and what is wrong. */
  | { readonly kind: 'problem'; readonly code: 12100 | 12300; readonly detail: string };

const TWIML = new Set(['text/xml', 'application/xml', 'text/html']);

/** What the carrier is to do after a 2xx. Source: https://www.twilio.com/docs/messaging/twiml#twilio-request-behavior */
export function readWebhookAnswer(contentType: string | null, body: string): WebhookAnswer {
  if (body.trim() === '') return { kind: 'messages', messages: [] };
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type === 'text/plain') return { kind: 'messages', messages: [{ body, mediaUrls: [] }] };
  if (!TWIML.has(type)) return { kind: 'problem', code: 12_300, detail: `content type ${type || 'missing'}` };
  const root = parse(body);
  if (root?.name !== 'Response') return { kind: 'problem', code: 12_100, detail: 'not an XML document of <Response>' };
  return { kind: 'messages', messages: root.children.filter(({ name }) => name === 'Message').map(messageOf) };
}

type Element = { readonly name: string; text: string; readonly children: Element[] };

function messageOf(message: Element): TwimlMessage {
  const bodies = message.children.filter(({ name }) => name === 'Body').map(({ text }) => text);
  const mediaUrls = message.children.filter(({ name }) => name === 'Media').map(({ text }) => text.trim());
  return { body: bodies.length > 0 ? bodies.join('') : message.text.trim(), mediaUrls };
}

/** A comment, a CDATA section, a declaration, a tag or a text, from where the last one ended. */
const TOKEN =
  /<!--[\s\S]*?-->|<!\[CDATA\[(?<cdata>[\s\S]*?)\]\]>|<\?[\s\S]*?\?>|<(?<close>\/)?(?<name>[A-Za-z_][\w.-]*)(?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*\s*(?<empty>\/)?>|(?<text>[^<]+)/y;

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The root element; null when the document is not well-formed. */
function parse(source: string): Element | null {
  // Nothing may stand before the declaration, not even a line break.
  if (source.indexOf('<?xml') > 0) return null;
  const top: Element = { name: '', text: '', children: [] };
  const open: Element[] = [top];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const { groups } = TOKEN.exec(source) ?? {};
    if (groups === undefined || !accept(open, groups)) return null;
  }
  const isWhole = open.length === 1 && top.children.length === 1 && top.text.trim() === '';
  return isWhole ? top.children[0]! : null;
}

function accept(open: Element[], { name, close, empty, text, cdata }: Record<string, string | undefined>): boolean {
  const inner = open.at(-1)!;
  if (name !== undefined && close !== undefined) {
    if (open.length === 1 || inner.name !== name) return false;
    open.pop();
  } else if (name !== undefined) {
    const element = { name, text: '', children: [] };
    inner.children.push(element);
    if (empty === undefined) open.push(element);
  } else if (cdata !== undefined) {
    inner.text += cdata;
  } else if (text !== undefined) {
    const decoded = decode(text);
    if (decoded === null) return false;
    inner.text += decoded;
  }
  return true;
}

function decode(text: string): string | null {
  let sound = true;
  const decoded = text.replace(/&(?:#(\d{1,7});|#x([0-9a-f]{1,6});|(\w+);)?/gi, (_, decimal, hex, name) => {
    const point = decimal ? Number(decimal) : hex ? Number.parseInt(hex, 16) : null;
    if (point !== null && point > 0 && point <= 0x10ffff) return String.fromCodePoint(point);
    const entity = ENTITIES[name ?? ''];
    if (entity === undefined) sound = false;
    return entity ?? '';
  });
  return sound ? decoded : null;
}
