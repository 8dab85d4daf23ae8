import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Debian's Python, which its awscli is installed for. */
const PYTHON = '/usr/bin/python3';

/** Runs awscli's own entry point again and again in one interpreter: starting it takes a second each time. */
const SESSION = `
import contextlib, io, json, os, sys
from awscli.clidriver import create_clidriver
for line in sys.stdin:
    asked = json.loads(line)
    os.environ.update(asked['env'])
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = create_clidriver().main(asked['args'])
    print(json.dumps({'code': code, 'out': out.getvalue(), 'err': err.getvalue()}), flush=True)
`;

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** An awscli that stays: `run` is one command line, with its own environment on top of an empty one. */
export interface AwsCli {
  run(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Said>;
  close(): void;
}

/** `home` is an empty folder: no configuration of anybody is read. */
export function startAwsCli(home: string): AwsCli {
  const child = spawn(PYTHON, ['-c', SESSION], {
    cwd: home,
    env: { PATH: '/usr/bin:/bin', HOME: home, AWS_EC2_METADATA_DISABLED: 'true', AWS_MAX_ATTEMPTS: '1', AWS_PAGER: '' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async run(args, env) {
      child.stdin.write(`${JSON.stringify({ args, env })}\n`);
      const answer = await answers.next();
      if (answer.done === true) throw new Error('awscli ended');
      return JSON.parse(answer.value) as Said;
    },
    close: () => child.stdin.end(),
  };
}
