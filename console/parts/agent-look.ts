// How an agent is, as a word and a sign: what an operator has said of it comes before what its calls say.
import { CircleCheck, CircleDashed, CircleSlash, DoorOpen, PowerOff, TriangleAlert } from 'lucide-react';
import type { Agent } from '../../src/http/contract.ts';
import type { Look } from './state-label.tsx';

const AGENT_LOOKS: Readonly<Record<Agent['status'] | 'draining' | 'off', Look>> = {
  registered: { word: 'New', icon: CircleDashed, tone: 'text-ink-2', means: 'Registered; not asked yet.' },
  active: { word: 'Active', icon: CircleCheck, tone: 'text-good', means: 'Texts are routed to it.' },
  degraded: {
    word: 'Degraded',
    icon: TriangleAlert,
    tone: 'text-warn',
    means: 'It fails or is slow; others are asked first.',
  },
  disabled: {
    word: 'Down',
    icon: CircleSlash,
    tone: 'text-bad',
    means:
      'Three calls or probes in a row failed, or one while it was coming back; it is tried again and again, and is back when it answers.',
  },
  off: {
    word: 'Switched off',
    icon: PowerOff,
    tone: 'text-ink-2',
    means: 'By an operator: it is asked nothing until it is switched on again.',
  },
  draining: {
    word: 'Draining',
    icon: DoorOpen,
    tone: 'text-hand',
    means: 'It gets no new sessions while others can take them; those that it has go on.',
  },
  deactivated: {
    word: 'Removed',
    icon: CircleSlash,
    tone: 'text-ink-3',
    means: 'By an operator, or it left by itself: it is asked nothing until it is brought back.',
  },
};

export function agentLook({ status, disabled, draining }: Pick<Agent, 'status' | 'disabled' | 'draining'>): Look {
  if (status === 'deactivated') return AGENT_LOOKS.deactivated;
  if (disabled !== null) return AGENT_LOOKS.off;
  // Trouble is more urgent than leaving.
  if (draining !== null && status === 'active') return AGENT_LOOKS.draining;
  return AGENT_LOOKS[status];
}
