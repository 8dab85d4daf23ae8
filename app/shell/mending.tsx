import { createContext, useContext, type ComponentType } from 'react';
import { ProblemError, type Problem } from './problem.ts';

type Mend = ComponentType<{ readonly problem: Problem }>;

/** By code: what offers a way out of a refusal right where it is met. Handed in by the frame: these files know no room. */
export const Mending = createContext<Readonly<Record<string, Mend>>>({});

/** The way out of this error, if there is one. */
export function useMending(error: unknown): { readonly Mend: Mend; readonly problem: Problem } | undefined {
  const ways = useContext(Mending);
  if (!(error instanceof ProblemError)) return undefined;
  const { problem } = error;
  const Mend = Object.hasOwn(ways, problem.code) ? ways[problem.code] : undefined;
  return Mend && { Mend, problem };
}
