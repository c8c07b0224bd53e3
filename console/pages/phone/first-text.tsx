// A phone that nobody has texted with: what to say, and who will answer.
import { Link } from 'wouter';
import { queryString } from '../../api.ts';
import { useAgentStats } from '../../parts/agent-stats.ts';
import { formatAddress } from '../../parts/format-address.ts';
import { useInstance } from '../../parts/shell.tsx';

const SUGGESTIONS = ['what time is it in Tokyo?', '12% of 80', 'remind me in 10 seconds to stretch'];

export function FirstText({
  ours,
  send,
}: {
  ours: string;
  send: (body: string, mediaUrls: readonly string[]) => void;
}) {
  return (
    <div className="flex flex-1 flex-col items-center justify-center gap-4 py-6 text-center">
      <p className="max-w-72 text-ink-2">
        Nothing here yet. <WhoAnswers ours={ours} />
      </p>
      <div className="flex flex-col items-center gap-2">
        {SUGGESTIONS.map((text) => (
          <button
            key={text}
            type="button"
            onClick={() => send(text, [])}
            className="rounded-full border border-line-strong bg-raised px-3.5 py-1.5 text-[0.875rem]/[1.25rem] text-accent transition-colors hover:bg-accent-soft pointer-coarse:py-2.5"
          >
            {text}
          </button>
        ))}
      </div>
    </div>
  );
}

/** Agents answer the numbers of their type. */
function WhoAnswers({ ours }: { ours: string }) {
  const ourNumber = useInstance().data?.numbers.find(({ address }) => address === ours);
  const { data: stats } = useAgentStats();
  const number = <span className="figures whitespace-nowrap text-ink">{formatAddress(ours)}</span>;
  if (ourNumber?.is_active === false) return <>{number} is switched off: a text to it is not answered.</>;
  if (ourNumber === undefined || stats === undefined) return <>Text {number}.</>;
  const type = ourNumber.agent_type;
  const agents = stats.by_type.find((each) => each.type === type);
  if (agents && agents.healthy > 0) return <>Text {number} and the agent behind it answers.</>;
  return (
    <>
      Agents of type {type} answer {number}, and {agents ? 'none is well at the moment' : 'none is registered'}.{' '}
      <Link
        href={agents ? `/agents${queryString({ type })}` : '/agents/new'}
        className="text-accent underline underline-offset-2"
      >
        {agents ? 'See how they are' : 'Register one'}
      </Link>
    </>
  );
}
