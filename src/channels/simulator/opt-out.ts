// What the carrier does with opt-out keywords before anybody else sees them (Twilio's default handling for long codes).

export type Keyword = 'STOP' | 'START' | 'HELP';

const KEYWORDS: ReadonlyMap<string, Keyword> = new Map<string, Keyword>([
  ...['STOP', 'STOPALL', 'UNSUBSCRIBE', 'CANCEL', 'END', 'QUIT', 'REVOKE', 'OPTOUT'].map((w) => [w, 'STOP'] as const),
  ...['START', 'UNSTOP'].map((w) => [w, 'START'] as const),
  ...['HELP', 'INFO'].map((w) => [w, 'HELP'] as const),
]);

const ANSWERS: Readonly<Record<Keyword, string>> = {
  STOP: 'You have successfully been unsubscribed. You will not receive any more messages from this number. Reply START to resubscribe.',
  START:
    'You have successfully been re-subscribed to messages from this number. Reply HELP for help. Reply STOP to unsubscribe. Msg&Data Rates May Apply.',
  HELP: 'Reply STOP to unsubscribe. Msg&Data Rates May Apply.',
};

export type OptOuts = {
  has(ours: string, theirs: string): boolean;
  /** Applies a text to the list; says which keyword it was and what the carrier answers, if anything. */
  apply(ours: string, theirs: string, body: string): { keyword: Keyword | null; answer: string | null };
};

/** The list is per pair of numbers: who stopped one of our numbers still hears from the others. */
export function createOptOuts(): OptOuts {
  const stopped = new Set<string>();
  const has = (ours: string, theirs: string): boolean => stopped.has(`${ours}|${theirs}`);
  return {
    has,
    apply(ours, theirs, body) {
      // The whole text must be the keyword: "please stop" is conversation.
      const keyword = body.length > 20 ? undefined : KEYWORDS.get(body.trim().toUpperCase());
      if (keyword === undefined) return { keyword: null, answer: null };
      if (keyword === 'HELP') return { keyword, answer: ANSWERS.HELP };
      // A second STOP or a START out of the blue changes nothing, and the carrier says nothing.
      const changes = has(ours, theirs) === (keyword === 'START');
      if (keyword === 'STOP') stopped.add(`${ours}|${theirs}`);
      else stopped.delete(`${ours}|${theirs}`);
      return { keyword, answer: changes ? ANSWERS[keyword] : null };
    },
  };
}
