// Code that comes in a file of its own, read as data is. Not React's `lazy`: once that has shown that something is coming, it keeps
// what came from the screen for 300 ms.
import { queryOptions } from '@tanstack/react-query';

/** Loads once what is kept under `name`, when it is drawn with or ahead of that. */
export function codeQuery<Code>(name: string, load: () => Promise<Code>) {
  return queryOptions({
    queryKey: ['code', name],
    queryFn: load,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: Number.POSITIVE_INFINITY,
    // A browser remembers what could not be loaded: only a new page tries again.
    retry: false,
    // Code may lie in the browser's cache, whatever it thinks of the network.
    networkMode: 'always',
  });
}
