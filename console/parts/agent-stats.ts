import { useQuery } from '@tanstack/react-query';
import type { AgentStats } from '../../src/http/contract.ts';
import { get } from '../api.ts';

/** How many agents there are, and how they do. */
export function useAgentStats() {
  return useQuery({
    queryKey: ['agents', 'list', 'stats'],
    queryFn: ({ signal }) => get<AgentStats>('/v1/agents/stats', {}, signal),
  });
}
