// The end of a registration: what is shown once, and what comes next.
import { CircleCheck, MessageSquareText, TriangleAlert } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { Link } from 'wouter';
import type { Registered } from '../../../src/http/contract.ts';
import { CopyButton } from '../../parts/copy-button.tsx';
import { ProbeNote, ProbeStrip } from './probe-strip.tsx';
import type { Preset } from './protocols.ts';

export function RegisteredView({ registered, preset }: { registered: Registered; preset: Preset }) {
  const { agent_id: id, api_key: key, signing_secret: secret, probe, message } = registered;
  const heading = useRef<HTMLHeadingElement>(null);
  // Who reads with a screen reader hears that it is another page.
  useEffect(() => heading.current?.focus(), []);
  return (
    <div className="scroll-y @container h-full">
      <div className="mx-auto max-w-3xl px-4 pt-5 pb-10 @xl:px-6 @xl:pt-7">
        <h1
          ref={heading}
          tabIndex={-1}
          className="flex items-center gap-2 text-figure font-semibold tracking-tight outline-none"
        >
          <CircleCheck size={22} strokeWidth={1.9} className="shrink-0 text-good" aria-hidden />
          It is registered
        </h1>
        <p className="mt-0.5 text-large text-ink-2">{message}. Texts are routed to it from now on.</p>

        <p className="mt-5 flex gap-2 rounded-md bg-warn-soft px-3 py-2 text-warn">
          <TriangleAlert size={15} className="mt-0.5 shrink-0" aria-hidden />
          Both are shown only once: copy them before you leave. Later they can only be replaced.
        </p>
        <dl className="mt-3 flex flex-col gap-3">
          <Secret
            name="Signing secret"
            value={secret}
            help={
              preset.protocol === 'envelope'
                ? 'The agent checks with it that a question comes from here: AGENT_SIGNING_SECRET of the SDK.'
                : 'Only for agents that take signed requests; this one is known by its own key.'
            }
          />
          <Secret
            name="API key"
            value={key}
            help="With it the agent itself says that it is alive, posts later answers, and changes its registration."
          />
        </dl>

        {probe && (
          <section aria-labelledby="probed" className="@container mt-6">
            <div className="mb-2 flex items-baseline justify-between gap-3">
              <h2 id="probed" className="text-large font-semibold">
                The probe
              </h2>
              <ProbeNote probe={probe} />
            </div>
            <ProbeStrip probe={probe} />
          </section>
        )}
        <div className="mt-6 flex flex-wrap items-center gap-x-4 gap-y-2">
          <Link
            href={`/agents/${id}/chat`}
            className="inline-flex h-8 items-center gap-1.5 rounded-md bg-ink px-3 font-medium text-on-ink hover:bg-ink-2"
          >
            <MessageSquareText size={14} aria-hidden /> Talk to it
          </Link>
          <Link href={`/agents/${id}`} className="text-accent underline underline-offset-2">
            Its page
          </Link>
          <Link href="/agents" className="text-accent underline underline-offset-2">
            All agents
          </Link>
        </div>
      </div>
    </div>
  );
}

function Secret({ name, value, help }: { name: string; value: string; help: string }) {
  return (
    <div className="rounded-md border border-line bg-panel px-3 py-2">
      <dt className="font-medium">{name}</dt>
      <dd className="mt-1 flex items-center gap-2">
        <code className="min-w-0 flex-1 rounded-sm bg-sunk px-2 py-1 font-mono text-small wrap-anywhere">{value}</code>
        <CopyButton text={value} label={`Copy: ${name}`}>
          Copy
        </CopyButton>
      </dd>
      <dd className="mt-1 text-small text-ink-3">{help}</dd>
    </div>
  );
}
