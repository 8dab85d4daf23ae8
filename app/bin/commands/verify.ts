import { runVerify } from '../../domains/audit-trail/index.ts';

export function run(args: string[]): Promise<number> {
  return runVerify(args, { out: (text) => process.stdout.write(text), err: (text) => process.stderr.write(text) });
}
