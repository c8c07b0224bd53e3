// What is registered of an agent, and what else is known.
import type { ReactNode } from 'react';
import type { AgentDetail } from '../../../src/http/contract.ts';
import { CopyButton } from '../../parts/copy-button.tsx';
import { Ago, Until } from '../../parts/time.tsx';

export function Facts({ agent }: { agent: AgentDetail }) {
  const hasSettings = Object.keys(agent.metadata).length > 0;
  return (
    <section aria-labelledby="facts-title" className="px-4 pt-4 pb-10 @xl:px-6">
      <h2 id="facts-title" className="mb-1 text-large font-semibold">
        Registration
      </h2>
      <dl className="grid grid-cols-[auto_1fr] items-baseline gap-x-5 gap-y-1.5">
        <Fact name="Id">
          <span className="flex items-center gap-1 font-mono text-small">
            <span className="truncate">{agent.id}</span>
            <CopyButton text={agent.id} label="Copy the id" />
          </span>
        </Fact>
        <Fact name="Capabilities">
          {agent.capabilities.length === 0 ? 'none named' : agent.capabilities.join(', ')}
        </Fact>
        <Fact name="Registered">
          <Ago at={agent.registered_at} inSentence />
        </Fact>
        <Fact name="Heartbeat">
          {agent.last_heartbeat_at === null ? (
            'never; it need not send any'
          ) : (
            <>
              <Ago at={agent.last_heartbeat_at} inSentence />
              {agent.load !== null && ` · load ${Math.round(agent.load * 100)} %`}
            </>
          )}
        </Fact>
        {agent.old_key_until !== null && (
          <Fact name="Old key">
            holds until <Until at={agent.old_key_until} />
          </Fact>
        )}
        {agent.old_secret_until !== null && (
          <Fact name="Old secret">
            calls are signed with it too until <Until at={agent.old_secret_until} />
          </Fact>
        )}
        {agent.account_id !== null && <Fact name="Account">{agent.account_id}</Fact>}
      </dl>
      {hasSettings && (
        <details className="mt-3">
          <summary className="w-fit text-ink-2 hover:text-ink">Its settings</summary>
          <section
            // What scrolls must be reachable with the keyboard.
            tabIndex={0}
            aria-label="Settings"
            className="scroll-y mt-2 max-h-80 overflow-x-auto rounded-md border border-line bg-sunk px-2.5 py-2"
          >
            <pre className="font-mono text-small text-ink-2">{JSON.stringify(agent.metadata, null, 2)}</pre>
          </section>
        </details>
      )}
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-ink-3">{name}</dt>
      <dd className="min-w-0 wrap-anywhere">{children}</dd>
    </>
  );
}
