// What can go wrong at the carrier, in words, and the query behind it. The simulator knows each fault by a name and counts how
// often it is still to happen.
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import type { Fault } from '../../../src/http/contract.ts';
import { change, get } from '../../api.ts';
import { listenLive } from '../../live.ts';
import { toastError } from '../../parts/toasts.tsx';
import { refreshSoon } from '../../refresh.ts';

export type Trouble = {
  readonly label: string;
  /** What Darkspere has to cope with then. */
  readonly means: string;
  /** The name and the rule of the simulator. */
  readonly fault: string;
  readonly rule: Readonly<Record<string, string | number>>;
};
export type TroubleGroup = { readonly title: string; readonly troubles: readonly Trouble[] };

const OUTAGE_MS = 10_000;
/** Longer than the minute in which a turn is tried again. */
const LONG_OUTAGE_MS = 90_000;
const LATE_MS = 5_000;

export const TROUBLE_GROUPS: readonly TroubleGroup[] = [
  {
    title: 'With the next text',
    troubles: [
      {
        label: 'Delivered twice',
        means: 'Two webhooks for one text, one answer.',
        fault: 'duplicate_webhooks',
        rule: { count: 1 },
      },
      {
        label: 'Delivered late',
        means: 'Its webhook comes 5 seconds later.',
        fault: 'late_webhooks',
        rule: { count: 1, delay_ms: LATE_MS },
      },
      {
        label: 'Overtaken by the one after it',
        means: 'Its webhook waits for that of the next text.',
        fault: 'reordered_webhooks',
        rule: { count: 1 },
      },
    ],
  },
  {
    title: 'With the next answer',
    troubles: [
      {
        label: 'Filtered as spam',
        means: 'Accepted, then undelivered: 30007.',
        fault: 'fail_with',
        rule: { count: 1, code: 30007 },
      },
      {
        label: 'The number is gone',
        means: 'Accepted, then undelivered: 30005.',
        fault: 'fail_with',
        rule: { count: 1, code: 30005 },
      },
      {
        label: 'The phone is switched off',
        means: 'Accepted, then undelivered: 30003.',
        fault: 'fail_with',
        rule: { count: 1, code: 30003 },
      },
      {
        label: 'Accepted without a word',
        means: 'It hangs, and the text arrives all the same.',
        fault: 'hang_after_accept',
        rule: { count: 1 },
      },
      {
        label: 'Accepted with a 500',
        means: 'It looks refused, and arrives all the same.',
        fault: 'http_500_after_accept',
        rule: { count: 1 },
      },
      {
        label: 'Too many requests',
        means: 'Refused with 429, sent a moment later.',
        fault: 'http_429',
        rule: { count: 1 },
      },
    ],
  },
  {
    title: 'With the reports about the next answer',
    troubles: [
      {
        label: 'Reports out of order',
        means: '“Delivered” is reported before “sent”.',
        fault: 'reordered_callbacks',
        rule: { count: 1 },
      },
      {
        label: 'No reports at all',
        means: 'It arrives, and nobody says so.',
        fault: 'missing_callbacks',
        rule: { count: 1 },
      },
    ],
  },
  {
    title: 'With the agent',
    troubles: [
      {
        label: 'It refuses one call',
        means: 'Another one is asked, or it once more.',
        fault: 'agents_down',
        rule: { count: 1 },
      },
      {
        label: 'The agent is down for 10 seconds',
        means: 'Texts wait, and are answered then.',
        fault: 'agents_down',
        rule: { for_ms: OUTAGE_MS },
      },
      {
        label: 'The agent is down for 90 seconds',
        means: 'After a minute they are told honestly.',
        fault: 'agents_down',
        rule: { for_ms: LONG_OUTAGE_MS },
      },
    ],
  },
  {
    title: 'With the carrier itself',
    troubles: [
      {
        label: 'Out of reach for 10 seconds',
        means: 'No connections; answers wait until then.',
        fault: 'refuse_connections',
        rule: { for_ms: OUTAGE_MS },
      },
    ],
  },
];

/** Some want to be told more than how often. */
const OTHER_RULES: Readonly<Record<string, Trouble['rule']>> = { refuse_with: { count: 1, code: 21614 } };
const NAMED = new Set(TROUBLE_GROUPS.flatMap(({ troubles }) => troubles.map(({ fault }) => fault)));

/** Everything else that the simulator knows, by its own names. */
export function otherTroubles(faults: readonly Fault[]): Trouble[] {
  return faults
    .filter(({ name }) => !NAMED.has(name))
    .map(({ name, counts }) => ({
      label: name,
      means: counts.replaceAll('`', ''),
      fault: name,
      rule: OTHER_RULES[name] ?? { count: 1 },
    }));
}

function isArmed({ left }: Fault): boolean {
  return left !== 0;
}

const KEY = ['simulator', 'faults'];
/** What ends by the clock is not announced by anybody. */
const ENDS_BY_ITSELF_MS = 1_000;
type FaultList = { readonly data: readonly Fault[] };

export type FaultDesk = ReturnType<typeof useFaults>;

export function useFaults() {
  const client = useQueryClient();
  const query = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => get<FaultList>('/v1/simulator/faults', {}, signal),
    refetchInterval: ({ state }) => (state.data?.data.some(({ left }) => left === null) ? ENDS_BY_ITSELF_MS : false),
  });
  /** Which of several troubles with one fault it is: the simulator keeps the rule, and tells only its name. */
  const [chosen, setChosen] = useState<ReadonlyMap<string, Trouble>>(new Map());
  useEffect(() => listenLive({ phone: () => refreshSoon(KEY), back: () => refreshSoon(KEY) }), []);

  const { data } = query;
  useEffect(() => {
    // What has happened is forgotten: who sets the same fault elsewhere may mean another one.
    const armed = new Set(data?.data.filter(isArmed).map(({ name }) => name));
    setChosen((known) => new Map([...known].filter(([name]) => armed.has(name))));
  }, [data]);

  const set = (body: Readonly<Record<string, unknown>>, trouble?: Trouble) =>
    change<FaultList>('POST', '/v1/simulator/faults', body).then((list) => {
      if (trouble) setChosen((known) => new Map(known).set(trouble.fault, trouble));
      client.setQueryData(KEY, list);
    }, toastError);
  const faults = data?.data ?? [];
  const armed = faults.filter(isArmed);
  return {
    query,
    faults,
    armed,
    /** The words for an armed fault; of several, those that were chosen here. */
    troubleOf: (fault: Fault): Trouble =>
      chosen.get(fault.name) ?? onlyTrouble(fault.name) ?? otherTroubles([fault])[0] ?? unnamed(fault),
    isOn: (trouble: Trouble) => {
      if (!armed.some(({ name }) => name === trouble.fault)) return false;
      const known = chosen.get(trouble.fault) ?? onlyTrouble(trouble.fault);
      return known ? known.label === trouble.label : trouble.label === trouble.fault;
    },
    arm: (trouble: Trouble) => set({ [trouble.fault]: trouble.rule }, trouble),
    takeBack: (name: string) => set({ [name]: [] }),
    takeAllBack: () =>
      change<FaultList>('DELETE', '/v1/simulator/faults').then((list) => client.setQueryData(KEY, list), toastError),
  };
}

/** What a fault is called here when it has one name only. */
function onlyTrouble(fault: string): Trouble | undefined {
  const known = TROUBLE_GROUPS.flatMap(({ troubles }) => troubles).filter((trouble) => trouble.fault === fault);
  return known.length === 1 ? known[0] : undefined;
}

/** Armed by somebody else, who alone knows how. */
function unnamed({ name, counts }: Fault): Trouble {
  return { label: name, means: counts, fault: name, rule: { count: 1 } };
}
