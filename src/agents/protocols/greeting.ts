// What protocols can ask an agent without giving it any work: whether it is what it was registered as.
import type { Failed } from './wire.ts';

export type Greeting = {
  readonly outcome: /** It is; `canEcho`: the protocol has an echo of its own, so that nobody has to be asked a question. */
    | { readonly kind: 'met'; readonly detail: string; readonly canEcho?: true }
    /** It does not offer a greeting, which agents need not. */
    | { readonly kind: 'none'; readonly detail: string }
    | Failed;
  /** The status of the newest HTTP answer; null: there was none. */
  readonly status: number | null;
};
