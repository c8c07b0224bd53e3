import type { ChannelKind } from '../channel.ts';

const PREFIX = 'whatsapp:';
const OTHER_CHANNEL = /^([a-z][a-z0-9_-]*):/i;

const E164 = /^\+[1-9]\d{6,14}$/;
const SHORT_CODE = /^\d{3,8}$/;
/** Twilio's alphanumeric sender: up to 11 of these, at least one of them a letter. Nobody can answer one. */
const ALPHANUMERIC = /^(?=.*[A-Za-z])[A-Za-z0-9 &+_.-]{1,11}$/;
/** A business-scoped user id: what WhatsApp gives instead of a number when the person has a user name (`US.13491208655302`). */
const BUSINESS_SCOPED_ID = /^[A-Z]{2}(\.[A-Za-z0-9]{1,128}){1,2}$/;

export type Address = { readonly channel: ChannelKind; readonly address: string };

/** Takes the channel off an address as Twilio writes it; null when it is a channel that is not ours (`rcs:`, `messenger:`). */
export function readAddress(wire: string): Address | null {
  if (wire.startsWith(PREFIX)) return { channel: 'whatsapp', address: wire.slice(PREFIX.length) };
  return OTHER_CHANNEL.test(wire) ? null : { channel: 'sms', address: wire };
}

/** The same address the way Twilio wants it. */
export function wireAddress(channel: ChannelKind, address: string): string {
  return channel === 'whatsapp' ? PREFIX + address : address;
}

/** Can this be the address of somebody who texts us? Short codes and names can: they are parsed, and never answered. */
export function isTheirAddress({ channel, address }: Address): boolean {
  if (E164.test(address)) return true;
  if (channel === 'whatsapp') return BUSINESS_SCOPED_ID.test(address);
  return SHORT_CODE.test(address) || ALPHANUMERIC.test(address);
}

/** Can this be an address that a messaging service of ours answers for? */
export function isSenderAddress({ channel, address }: Address): boolean {
  return E164.test(address) || (channel === 'sms' && SHORT_CODE.test(address));
}
