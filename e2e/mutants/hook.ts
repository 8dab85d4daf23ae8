// How a process is started with one of its exports replaced by nothing: the test composition root.
import type { ModuleMutant } from './mutants.ts';

/** Arguments of the runtime that replace one export by an expression. */
export function replacing(change: Pick<ModuleMutant, 'file' | 'export' | 'nothing'>): string[] {
  const hook = new URL('./replace-export.mjs', import.meta.url);
  const { file, nothing } = change;
  hook.search = new URLSearchParams({ file, export: change.export, nothing }).toString();
  return [`--import=${hook.href}`];
}

/** Those that bring the mutant into a process that is otherwise started with `execArgv`. */
export function mutatedArguments(mutant: ModuleMutant, execArgv: readonly string[]): string[] {
  return [...execArgv.filter((argument) => mutant.without?.includes(argument) !== true), ...replacing(mutant)];
}
