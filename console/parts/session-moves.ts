/** How often a session went to another agent, and why it did last; a reason whose record is kept no longer is left out. */
export function sessionMoves({
  failovers,
  last_failover_reason: reason,
}: {
  readonly failovers: number;
  readonly last_failover_reason: string | null;
}): string {
  const often = failovers === 1 ? 'moved once' : `moved ${failovers} times`;
  if (reason === null) return often;
  return `${often}, ${failovers === 1 ? '' : 'last '}${WHY[reason] ?? `because of ${reason}`}`;
}

/** The others are codes of what the agent before failed of. */
const WHY: Readonly<Record<string, string>> = {
  gone: 'as its agent was switched off or gone',
  unhealthy: 'as its agent was unhealthy or fit no longer',
  moved: 'by hand',
};
