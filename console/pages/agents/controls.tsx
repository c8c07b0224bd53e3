// What an operator does with an agent. What stops texts from reaching it asks why; everything can be undone at once.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { DoorOpen, MessageSquareText, Play, Power, PowerOff, Stethoscope, Terminal } from 'lucide-react';
import { useState } from 'react';
import { useLocation } from 'wouter';
import type { AgentDetail, AgentProbe } from '../../../src/http/contract.ts';
import { change } from '../../api.ts';
import { Button, IconButton } from '../../parts/button.tsx';
import { copyText } from '../../parts/copy-text.ts';
import { Dialog } from '../../parts/dialog.tsx';
import { Menu, MenuItem, MenuLabel } from '../../parts/menu.tsx';
import { useShortcut } from '../../parts/shortcuts.tsx';
import { toast, toastError } from '../../parts/toasts.tsx';
import { apiCurl } from './curl.ts';

const GROUP = 'Agent';
const REASON_LENGTH = 300;

type Action = 'drain' | 'disable' | 'enable' | 'activate';
const DONE: Readonly<Record<Action, (name: string) => string>> = {
  drain: (name) => `${name} gets no new sessions.`,
  disable: (name) => `${name} is switched off; its sessions go on with others.`,
  enable: (name) => `${name} is asked again.`,
  activate: (name) => `${name} is back.`,
};

function useAct(agent: AgentDetail) {
  const client = useQueryClient();
  const act = useMutation({
    mutationFn: ({ action, reason }: { action: Action; reason?: string }) =>
      change<AgentDetail>('POST', `/v1/agents/${agent.id}/${action}`, reason === undefined ? undefined : { reason }),
    onSuccess: (answer, { action }) => {
      // `activate` tells what it has done, the others how the agent is now.
      if (action !== 'activate') client.setQueryData(['agent', agent.id], answer);
      void client.invalidateQueries({ queryKey: ['agent', agent.id], exact: true });
      void client.invalidateQueries({ queryKey: ['agents'] });
      // Switching it on would end a drain too.
      const isUndoable = agent.draining === null && (action === 'drain' || action === 'disable');
      toast(
        DONE[action](agent.name),
        'good',
        isUndoable ? { label: 'Undo', run: () => act.mutate({ action: 'enable' }) } : undefined,
      );
    },
    onError: toastError,
  });
  return act;
}

function useProbe(agent: AgentDetail) {
  const client = useQueryClient();
  return useMutation({
    mutationKey: ['agent', agent.id, 'probe'],
    mutationFn: () => change<AgentProbe>('POST', `/v1/agents/${agent.id}/probe`, {}),
    onSuccess: (probe) =>
      client.setQueryData<AgentDetail>(['agent', agent.id], (known) => known && { ...known, last_probe: probe }),
    onError: toastError,
  });
}

export function Controls({ agent }: { agent: AgentDetail }) {
  const [, navigate] = useLocation();
  const [asked, setAsked] = useState<'drain' | 'disable' | null>(null);
  const act = useAct(agent);
  const probe = useProbe(agent);
  const isGone = agent.status === 'deactivated';
  const isOff = agent.disabled !== null;
  const talk = () => navigate(`/agents/${agent.id}/chat`);
  const tryIt = () => !probe.isPending && probe.mutate();
  useShortcut({ keys: 't', label: 'Talk to it', group: GROUP }, talk, !isGone);
  useShortcut({ keys: 'p', label: 'Probe it now', group: GROUP }, tryIt);
  useShortcut({ keys: 'Escape', label: 'All agents', group: GROUP }, () => navigate('/agents'));
  return (
    <div className="flex flex-wrap items-center gap-2">
      {!isGone && (
        <Button look="primary" icon={MessageSquareText} keyHint="t" onClick={talk}>
          Talk to it
        </Button>
      )}
      <Button icon={Stethoscope} keyHint="p" disabled={probe.isPending} onClick={tryIt}>
        {probe.isPending ? 'Probing …' : 'Probe now'}
      </Button>
      {!isGone && !isOff && agent.draining === null && (
        <Button icon={DoorOpen} disabled={act.isPending} onClick={() => setAsked('drain')}>
          Drain
        </Button>
      )}
      {!isGone && !isOff && agent.draining !== null && (
        <Button icon={Play} disabled={act.isPending} onClick={() => act.mutate({ action: 'enable' })}>
          Resume
        </Button>
      )}
      {!isGone && !isOff && (
        <Button look="danger" icon={PowerOff} disabled={act.isPending} onClick={() => setAsked('disable')}>
          Switch off
        </Button>
      )}
      {!isGone && isOff && (
        <Button icon={Power} disabled={act.isPending} onClick={() => act.mutate({ action: 'enable' })}>
          Switch on
        </Button>
      )}
      {isGone && (
        <Button icon={Power} disabled={act.isPending} onClick={() => act.mutate({ action: 'activate' })}>
          Bring it back
        </Button>
      )}
      <CurlMenu agentId={agent.id} />
      <ReasonDialog
        action={asked}
        agent={agent}
        onClose={() => setAsked(null)}
        run={(reason) => {
          setAsked(null);
          if (asked) act.mutate({ action: asked, ...(reason === '' ? {} : { reason }) });
        }}
      />
    </div>
  );
}

/** Somebody who finds it switched off wants to know by whom, and why. */
function ReasonDialog({
  action,
  agent,
  onClose,
  run,
}: {
  action: 'drain' | 'disable' | null;
  agent: AgentDetail;
  onClose: () => void;
  run: (reason: string) => void;
}) {
  const isOff = action === 'disable';
  return (
    <Dialog
      title={isOff ? `Switch ${agent.name} off` : `Drain ${agent.name}`}
      isOpen={action !== null}
      onClose={onClose}
    >
      <ReasonForm isOff={isOff} sessions={agent.active_sessions} onClose={onClose} run={run} />
    </Dialog>
  );
}

function ReasonForm({
  isOff,
  sessions,
  onClose,
  run,
}: {
  isOff: boolean;
  sessions: number;
  onClose: () => void;
  run: (reason: string) => void;
}) {
  const [reason, setReason] = useState('');
  const text = reason.trim();
  const own = sessions === 1 ? 'Its session' : `Its ${sessions.toLocaleString('en')} sessions`;
  return (
    <form
      className="flex flex-col gap-3 p-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (text !== '' || !isOff) run(text);
      }}
    >
      <p className="text-ink-2">
        {isOff
          ? `It is asked nothing from now on, not even when nobody else is there. ${sessions === 0 ? '' : `${own} will go on with other agents of its type.`}`
          : `New sessions go to others, while there are any. ${sessions === 0 ? 'It has none now.' : `${own} will go on with it.`}`}
      </p>
      <label className="flex flex-col gap-1">
        <span>Why {!isOff && <span className="text-ink-3">(optional)</span>}</span>
        <input
          value={reason}
          maxLength={REASON_LENGTH}
          required={isOff}
          onChange={(event) => setReason(event.target.value)}
          placeholder={isOff ? 'It quotes wrong prices' : 'A new version comes at ten'}
          className="h-8 rounded-md border border-line-strong bg-page px-2.5 text-ink"
        />
      </label>
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look={isOff ? 'danger' : 'primary'} disabled={isOff && text === ''}>
          {isOff ? 'Switch it off' : 'Drain it'}
        </Button>
      </div>
    </form>
  );
}

function CurlMenu({ agentId }: { agentId: string }) {
  const base = `/v1/agents/${agentId}`;
  const commands: readonly (readonly [label: string, text: string])[] = [
    ['Read it', apiCurl('GET', base)],
    ['Its health over time', apiCurl('GET', `${base}/health`)],
    ['Probe it', apiCurl('POST', `${base}/probe`, {})],
    ['Talk to it', apiCurl('POST', `${base}/chat`, { message: 'hello' })],
    ['Drain it', apiCurl('POST', `${base}/drain`, { reason: 'why' })],
    ['Switch it off', apiCurl('POST', `${base}/disable`, { reason: 'why' })],
    ['Switch it on, or end a drain', apiCurl('POST', `${base}/enable`)],
  ];
  const copy = (text: string) => {
    copyText(text).then(() => toast('Copied. It reads the key from $DARKSPERE_KEY.'), toastError);
  };
  return (
    <Menu trigger={<IconButton look="plain" icon={Terminal} label="Copy as curl" />}>
      <MenuLabel>Copy as curl</MenuLabel>
      {commands.map(([label, text]) => (
        <MenuItem key={label} onSelect={() => copy(text)}>
          {label}
        </MenuItem>
      ))}
    </Menu>
  );
}
