// Text from outside, which may hold what PostgreSQL's text and jsonb do not take: NUL, and half a surrogate pair.

/** True when PostgreSQL can store the text, and search for it. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

/** The text as it can be stored: what cannot becomes U+FFFD. */
export function storable(text: string): string {
  const clean = text.includes('\0') ? text.replaceAll('\0', '\uFFFD') : text;
  return clean.isWellFormed() ? clean : clean.toWellFormed();
}

/** The same for what an agent says: a NUL is left out, since U+FFFD would make a text message of it UCS-2, of twice the segments. */
export function withoutNul(text: string): string {
  return text.replaceAll('\0', '').toWellFormed();
}
