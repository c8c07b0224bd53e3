// What the carrier says to us: webhooks and status callbacks, signed as Twilio signs them.
import { createHmac, randomBytes } from 'node:crypto';
import { postRequest } from './http-wire.ts';

/** Who the carrier thinks we are. */
export type Account = {
  readonly sid: string;
  readonly token: string;
  readonly number: string;
  /** Port of the gateway on loopback; PUBLIC_URL is made of it. */
  readonly port: number;
};

export function newAccount(port: number): Account {
  return {
    sid: `AC${randomBytes(16).toString('hex')}`,
    token: randomBytes(16).toString('hex'),
    number: '+15550001111',
    port,
  };
}

export const publicUrl = (account: Account): string => `http://127.0.0.1:${account.port}`;

let messages = 0;
const run = randomBytes(8).toString('hex');

/** An id as Twilio's, new each time. */
export function messageSid(): string {
  return `SM${run}${(messages++).toString(16).padStart(16, '0')}`;
}

/** The phone number of one of our many people. */
export const personNumber = (person: number): string => `+1${2_020_000_000 + person}`;

/** One inbound text as the carrier posts it, all fields of a US text included. */
export function inboundText(account: Account, person: number, body: string): Buffer {
  const sid = messageSid();
  return signed(account, '/webhooks/twilio/messages', {
    ToCountry: 'US',
    ToState: 'CA',
    SmsMessageSid: sid,
    NumMedia: '0',
    ToCity: '',
    FromZip: '94105',
    SmsSid: sid,
    FromState: 'CA',
    SmsStatus: 'received',
    FromCity: 'SAN FRANCISCO',
    Body: body,
    FromCountry: 'US',
    To: account.number,
    ToZip: '',
    NumSegments: '1',
    MessageSid: sid,
    AccountSid: account.sid,
    From: personNumber(person),
    ApiVersion: '2010-04-01',
  });
}

/** A delivery callback to the path that the part was sent with. */
export function statusCallback(account: Account, path: string, sid: string, status: string, to: string): Buffer {
  return signed(account, path, {
    SmsSid: sid,
    SmsStatus: status,
    MessageStatus: status,
    To: to,
    MessageSid: sid,
    AccountSid: account.sid,
    From: account.number,
    ApiVersion: '2010-04-01',
  });
}

// Source: https://www.twilio.com/docs/usage/security#validating-requests
function signed(account: Account, path: string, fields: Record<string, string>): Buffer {
  let text = publicUrl(account) + path;
  for (const name of Object.keys(fields).sort()) text += name + fields[name];
  const signature = createHmac('sha1', account.token).update(text).digest('base64');
  const body = new URLSearchParams(fields).toString();
  return postRequest(
    account.port,
    path,
    { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8', 'x-twilio-signature': signature },
    body,
  );
}
