// Before the first text: how to send it, and how to let an agent of one's own answer.
import { ArrowRight } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Agent } from '../../../src/http/contract.ts';
import { CopyButton } from '../../parts/copy-button.tsx';
import { Address } from '../../parts/phone-number.tsx';
import { useInstance } from '../../parts/shell.tsx';
import { isUp } from './verdict.ts';

const TEXT = 'npx darkspere text "hello"';
const OWN_AGENT = 'DARKSPERE_AGENT_URL=http://127.0.0.1:9000/ DARKSPERE_AGENT_SECRET=whsec_… npm start';

export function FirstText({ agents }: { agents: readonly Agent[] }) {
  const instance = useInstance();
  const number = instance.data?.numbers.find(({ is_active }) => is_active)?.address;
  const isReal = instance.data?.carrier === 'twilio';
  return (
    <div className="px-4 pt-5 pb-2 @xl:px-6 @xl:pt-7">
      <h1 className="text-figure font-semibold tracking-tight">Send the first text</h1>
      <p className="mt-0.5 max-w-prose text-large text-ink-2">
        {number === undefined ? (
          'Everything is ready.'
        ) : (
          <>
            <Address address={number} className="font-medium text-ink" /> is ready, <AnsweredBy agents={agents} />.
          </>
        )}{' '}
        What happens to the text, you will see here.
      </p>
      <ol className="mt-5 grid gap-px overflow-hidden rounded-lg border border-line bg-line @3xl:grid-cols-3">
        {isReal ? (
          <Way
            title="From your phone"
            action={number !== undefined && <Address address={number} className="text-title" />}
          >
            Twilio is the carrier: a text to the number arrives here, and the answer on your phone.
          </Way>
        ) : (
          <Way
            title="From a phone in the browser"
            action={
              <Link
                href="/phone"
                className="inline-flex h-8 items-center gap-1.5 rounded-md bg-ink px-3 font-medium text-on-ink hover:bg-ink-2"
              >
                Open the phone <ArrowRight size={14} aria-hidden />
              </Link>
            }
          >
            Type as a person would, and see the bubbles, what they cost, and what became of them.
          </Way>
        )}
        {!isReal && (
          <Way title="From a terminal" action={<Command text={TEXT} />}>
            The same simulated carrier, in a second terminal.
          </Way>
        )}
        <Way title="With an agent of your own" action={<Command text={OWN_AGENT} />}>
          Any program that answers a signed POST, or an OpenAI-compatible server. Start again with its address:
        </Way>
      </ol>
    </div>
  );
}

function AnsweredBy({ agents }: { agents: readonly Agent[] }) {
  const up = agents.filter(isUp);
  if (up.length === 0) return 'but no agent is there to answer';
  return `answered by ${up.length === 1 ? up[0]!.name : `one of ${up.length} agents`}`;
}

function Way({ title, children, action }: { title: string; children: ReactNode; action: ReactNode }) {
  return (
    <li className="flex min-w-0 flex-col bg-panel p-4">
      <h2 className="text-large font-semibold">{title}</h2>
      <p className="mt-1 text-ink-2">{children}</p>
      <div className="mt-auto min-w-0 pt-4">{action}</div>
    </li>
  );
}

function Command({ text }: { text: string }) {
  return (
    <div className="flex items-start gap-2 rounded-md border border-line bg-sunk py-0.5 pr-0.5 pl-2.5 font-mono text-small">
      <span className="py-1.5 text-ink-3 select-none" aria-hidden>
        $
      </span>
      <code className="min-w-0 flex-1 py-1.5 wrap-anywhere">{text}</code>
      <CopyButton text={text} label="Copy the command" />
    </div>
  );
}
