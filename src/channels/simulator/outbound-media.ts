// Twilio fetches the media of an MMS or WhatsApp message before it sends them.
import { Agent, request } from 'undici';
import type { Message } from './message.ts';
import { isWhatsApp } from './whatsapp.ts';

export type OutboundMedia = {
  /** Null when every medium could be had; else the code the message fails with. */
  fetch(message: Message): Promise<number | null>;
  close(): Promise<void>;
};

const MAX_BYTES = 5 * 1024 * 1024;
/** All media and the text of an MMS together are over 5 MB. */
const TOO_LARGE = 11_751;
const WHATSAPP_FAILED = 63_019;
const NOT_FETCHED = 11_200;

/** `enabled` false looks at nothing, so that a laptop that plays a carrier stays off the internet. */
export function createOutboundMedia(enabled: boolean): OutboundMedia {
  const dispatcher = new Agent({ connect: { timeout: 5_000 }, headersTimeout: 15_000, bodyTimeout: 15_000 });
  const sizeOf = async (url: string, limit: number): Promise<number> => {
    const answer = await request(url, { dispatcher });
    if (answer.statusCode !== 200) throw new Error(`HTTP ${answer.statusCode}`);
    let size = 0;
    for await (const chunk of answer.body) {
      size += (chunk as Buffer).length;
      if (size > limit) break;
    }
    return size;
  };
  return {
    async fetch(message) {
      if (!enabled) return null;
      let size = Buffer.byteLength(message.body);
      try {
        for (const url of message.mediaUrls) {
          size += await sizeOf(url, MAX_BYTES - size);
          if (size > MAX_BYTES) return isWhatsApp(message.to) ? WHATSAPP_FAILED : TOO_LARGE;
        }
        return null;
      } catch {
        return isWhatsApp(message.to) ? WHATSAPP_FAILED : NOT_FETCHED;
      }
    },
    close: () => dispatcher.destroy(),
  };
}
