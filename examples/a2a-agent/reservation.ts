// What the agent says: a pure function of what the person has said in this task.

export type Answer = { readonly text: string; readonly isQuestion: boolean };

/** Asks until it knows for how many and when. */
export function answer(said: readonly string[]): Answer {
  const all = said.join(' ');
  const time = /\b(\d{1,2}:\d{2}|\d{1,2}\s?(?:am|pm))\b/i.exec(all)?.[1];
  const people = /\b(\d{1,2})\b(?!\s?(?::|am|pm))/i.exec(all.replaceAll(/\d{1,2}:\d{2}/g, ''))?.[1];
  if (people === undefined) return { text: 'For how many people?', isQuestion: true };
  if (time === undefined) return { text: 'At what time? For example 7:30.', isQuestion: true };
  return { text: `A table for ${people} at ${time}. See you then!`, isQuestion: false };
}
