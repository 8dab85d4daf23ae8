import type { Caller } from './policy.ts';
import type { Input } from './request.ts';
import type { World } from './world.ts';

/** One operation of the API: what is asked, by whom; returns the answer's members, or throws a refusal. */
export type Operation = (ask: {
  readonly input: Input;
  readonly caller: Caller;
  readonly world: World;
}) => Record<string, unknown> | Promise<Record<string, unknown>>;
