/** Country codes of one and of two digits; all others have three. Source: ITU-T E.164, list of assigned country codes. */
const SHORT_CODE = '[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]';
const INTERNATIONAL = new RegExp(`^\\+(${SHORT_CODE}|\\d{3})(\\d{3,})$`);

/** A number as people read it: after its country code North American ones as usual, others in threes; what is no number as it is. */
export function formatAddress(address: string): string {
  const bare = address.replace(/^whatsapp:/, '');
  const american = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(bare);
  if (american) return `+1 ${american[1]} ${american[2]} ${american[3]}`;
  const other = INTERNATIONAL.exec(bare);
  if (!other) return bare;
  return `+${other[1]} ${other[2]!.replace(/(\d{3})(?=\d{2,})/g, '$1 ')}`.trim();
}

/** Whether somebody typed a number, or part of one. */
export const isNumber = (text: string): boolean => /^[\d\s()+./-]*\d[\d\s()+./-]*$/.test(text);
