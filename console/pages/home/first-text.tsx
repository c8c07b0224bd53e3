// Before the first text: how to send it, and how to let an agent of one's own answer.
import { ArrowRight, Plus } from 'lucide-react';
import { Link } from 'wouter';
import type { Agent } from '../../../src/http/contract.ts';
import { useFailure } from '../../parts/failure.ts';
import { Address } from '../../parts/phone-number.tsx';
import { useInstance } from '../../parts/shell.tsx';
import { Command, Way, Ways } from '../../parts/ways.tsx';
import { isUp } from './verdict.ts';

const TEXT = 'npx darkspere text "hello"';

export function FirstText({ agents }: { agents: readonly Agent[] }) {
  const instance = useInstance();
  const number = instance.data?.numbers.find(({ is_active }) => is_active);
  const failure = useFailure(instance);
  const carrier = instance.data?.carrier;
  return (
    <div className="px-4 pt-5 pb-2 @xl:px-6 @xl:pt-7">
      <h1 className="text-figure font-semibold tracking-tight">Send the first text</h1>
      <p className="mt-0.5 max-w-prose text-large text-ink-2">
        {failure ? (
          <>
            Our numbers could not be read.{' '}
            <button
              type="button"
              onClick={() => void instance.refetch()}
              className="text-accent underline decoration-1 underline-offset-2"
            >
              Try again
            </button>
          </>
        ) : number === undefined ? (
          'Everything is ready.'
        ) : (
          <>
            <Address address={number.address} className="font-medium text-ink" /> is ready,{' '}
            <AnsweredBy agents={agents.filter(({ type }) => type === number.agent_type)} />.
          </>
        )}{' '}
        You will see here what becomes of the text.
      </p>
      <Ways>
        {carrier === 'twilio' && (
          <Way
            title="From your phone"
            action={number !== undefined && <Address address={number.address} className="text-title" />}
          >
            Twilio is the carrier: a text to the number arrives here, and the answer on your phone.
          </Way>
        )}
        {carrier === 'simulator' && (
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
        {carrier === 'simulator' && (
          <Way title="From a terminal" action={<Command text={TEXT} />}>
            The same simulated carrier, in a second terminal.
          </Way>
        )}
        <Way
          title="With an agent of your own"
          action={
            <Link
              href="/agents/new"
              className="inline-flex h-8 items-center gap-1.5 rounded-md border border-line-strong bg-raised px-3 font-medium hover:bg-hover"
            >
              <Plus size={14} aria-hidden /> Register an agent
            </Link>
          }
        >
          An MCP server, an A2A agent, an OpenAI-compatible endpoint, a workflow, or a program of yours.
        </Way>
      </Ways>
    </div>
  );
}

function AnsweredBy({ agents }: { agents: readonly Agent[] }) {
  const up = agents.filter(isUp);
  if (up.length === 0) return 'but no agent is there to answer';
  return `answered by ${up.length === 1 ? up[0]!.name : `one of ${up.length} agents`}`;
}
