import { availableParallelism, cpus, loadavg } from 'node:os';
import type { BenchResult } from '../app/bin/commands/bench.ts';
import { measureVerification } from './ledger-verify.ts';
import { measureWriting } from './ledger-write.ts';

/** The audit log: what writing it costs, and what verifying it costs. */
export async function run(progress: (line: string) => void): Promise<BenchResult> {
  const [load_1min_before] = loadavg();
  const { figures, conditions } = await measureWriting(progress);
  const verified = await measureVerification(progress);
  return {
    figures: { ...figures, ...verified },
    conditions: {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: availableParallelism(),
      load_1min_before,
      load_1min: loadavg()[0],
      node: process.version,
      writing: conditions,
    },
  };
}
