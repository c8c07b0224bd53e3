// Pictures to send: the simulator has some, so that the first MMS needs no internet. What comes back is only shown from our
// own gateway: a page of ours must tell nobody else's server who looks at it, and its content policy forbids it anyway.
import { useQuery } from '@tanstack/react-query';
import type { SimulatorState } from '../../../src/http/contract.ts';
import { get } from '../../api.ts';

export type SamplePicture = SimulatorState['pictures'][number];

export function useSamples(): readonly SamplePicture[] {
  const { data } = useQuery({
    queryKey: ['simulator', 'pictures'],
    queryFn: ({ signal }) => get<SimulatorState>('/v1/simulator', {}, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
  return data?.pictures ?? [];
}

/** Where this page may load a picture from; null when it is elsewhere. */
export function shownFrom(url: string, samples: readonly SamplePicture[]): string | null {
  if (url.startsWith('/v1/')) return url;
  return samples.find((sample) => sample.url === url)?.preview_url ?? null;
}

export function hostOf(url: string): string {
  return URL.parse(url)?.host ?? 'nowhere';
}
