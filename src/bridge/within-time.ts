import { DarkspereError } from '../errors.ts';

/** @throws DarkspereError `storage_unavailable` when it takes longer; `why` replaces its usual message. */
export async function withinTime<T>(work: Promise<T>, ms: number, why?: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DarkspereError('storage_unavailable', why)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
