// With a real carrier, or where the simulator runs elsewhere, this page is no phone. It says so, and what to do instead.
import { PhoneCall } from 'lucide-react';
import { Link } from 'wouter';
import type { Instance } from '../../../src/http/contract.ts';
import { CopyButton } from '../../parts/copy-button.tsx';
import { formatAddress } from '../../parts/format-address.ts';

export function NoSimulator({ instance }: { instance: Instance }) {
  const isReal = instance.carrier === 'twilio';
  return (
    <div className="scroll-y flex h-full items-start justify-center p-4 pt-[10vh]">
      <section className="w-full max-w-md">
        <PhoneCall size={20} className="text-ink-3" aria-hidden />
        <h1 className="mt-3 text-title font-semibold">
          {isReal ? 'Text from a real phone' : 'The simulator runs in another process'}
        </h1>
        <p className="mt-1 text-ink-2">
          {isReal
            ? 'Twilio carries the texts of this installation, so this page cannot play a phone. Take your own and text one of these numbers; it costs what a text costs.'
            : 'The phone on this page is a part of the simulated carrier, which this process does not run. Open the console of the process that does, or start all parts together with darkspere start.'}
        </p>
        {instance.numbers.length > 0 ? (
          <ul aria-label="Our numbers" className="mt-4 divide-y divide-line rounded-lg border border-line bg-panel">
            {instance.numbers.map(({ address, agent_type: type, is_active: isActive }) => (
              <li key={address} className="flex items-center gap-3 py-2 pr-2 pl-4">
                <span className="figures text-large font-medium">{formatAddress(address)}</span>
                <span className="min-w-0 flex-1 truncate text-small text-ink-3">
                  {isActive ? `answered by ${type} agents` : 'switched off'}
                </span>
                <CopyButton text={address} label={`Copy ${formatAddress(address)}`} />
              </li>
            ))}
          </ul>
        ) : (
          <p className="mt-4 rounded-md bg-warn-soft px-3 py-2 text-warn">
            There is no number of ours yet. Set TWILIO_PHONE_NUMBERS, or add one with npx darkspere numbers.
          </p>
        )}
        <p className="mt-4 text-ink-2">
          What comes in appears in{' '}
          <Link href="/conversations" className="text-accent underline underline-offset-2">
            Conversations
          </Link>{' '}
          as it happens.
        </p>
      </section>
    </div>
  );
}
