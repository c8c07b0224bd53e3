import { useState } from 'react';
import type { Exchange } from '../../src/http/contract.ts';
import { CopyButton } from './copy-button.tsx';

/** JSON is laid out, everything else shown as it came; what was cut at the end of what is kept stays as it is. */
function readable(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** A call as it went over the wire, without its secrets. */
export function ExchangeView({ exchange }: { exchange: Exchange }) {
  const [shown, setShown] = useState<'request' | 'response'>(exchange.outcome === 'failed' ? 'response' : 'request');
  const status = exchange.http_status === null ? 'no answer' : `HTTP ${exchange.http_status}`;
  const isBad = exchange.error_code !== null && exchange.error_code !== 'agent_cancelled';
  return (
    <div className="mx-4 my-1.5 overflow-hidden rounded-md border border-line bg-sunk">
      <div className="flex items-center gap-2 border-b border-line px-2.5 py-1 text-small">
        <span className="min-w-0 flex-1 truncate font-mono text-ink-2" title={exchange.target}>
          {exchange.target}
        </span>
        <span className={isBad ? 'text-bad' : 'text-ink-3'}>
          {[status, exchange.error_code].filter(Boolean).join(' · ')}
        </span>
      </div>
      <div className="flex items-center justify-between gap-2 px-1.5 pt-1.5">
        <div role="tablist" aria-label="Which side" className="flex gap-0.5">
          {(['request', 'response'] as const).map((side) => (
            <button
              key={side}
              type="button"
              role="tab"
              aria-selected={shown === side}
              onClick={() => setShown(side)}
              className={`h-6 rounded-sm px-2 text-small font-medium capitalize ${shown === side ? 'bg-selected text-ink' : 'text-ink-3 hover:text-ink'}`}
            >
              {side}
            </button>
          ))}
        </div>
        <div className="flex items-center">
          <CopyButton text={exchange[shown]} label={`Copy the ${shown}`} />
          <CopyButton text={exchange.curl} label="Copy as curl, secrets as variables">
            curl
          </CopyButton>
        </div>
      </div>
      <pre
        // What scrolls must be reachable with the keyboard.
        tabIndex={0}
        role="tabpanel"
        aria-label={shown}
        className="scroll-y max-h-80 overflow-x-auto px-2.5 py-2 font-mono text-small break-words whitespace-pre-wrap text-ink-2"
      >
        {exchange[shown] === '' ? <span className="text-ink-3">Nothing.</span> : readable(exchange[shown])}
      </pre>
      {exchange.late && (
        <p className="border-t border-line px-2.5 py-1 text-small text-warn">
          It came too late: another answer had been committed.
        </p>
      )}
    </div>
  );
}
