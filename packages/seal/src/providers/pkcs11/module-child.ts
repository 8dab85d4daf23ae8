import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { TokenCall, TokenReply, TokenRequest } from './messages.ts';

const PROGRAM = fileURLToPath(new URL('module-program.ts', import.meta.url));

/** The child is gone, or was ended, while it owed an answer; whether the call took effect is unknown. */
export class ChildLost extends Error {}

/**
 * One child with one session of one token. It gets nothing of our environment but what is named, no arguments and no
 * terminal; everything it needs, the PIN too, comes over its own channel, which no other process can read.
 */
export class ModuleChild {
  readonly #process: ChildProcess;
  readonly #onGone: () => void;
  #waiting: { readonly resolve: (reply: TokenReply) => void; readonly reject: (error: Error) => void } | undefined;
  #nextId = 1;
  #isGone = false;

  constructor(environment: Readonly<Record<string, string>>, onGone: () => void) {
    this.#onGone = onGone;
    this.#process = fork(PROGRAM, [], {
      env: { ...environment },
      execArgv: ['--disable-warning=ExperimentalWarning'],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#process.on('message', (message) => this.#settle(message as TokenReply));
    this.#process.on('exit', () => this.#gone());
    this.#process.on('error', () => this.#gone());
  }

  /** Process id, for whoever looks at the machine. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  get isBusy(): boolean {
    return this.#waiting !== undefined;
  }

  /** One call at a time. Rejects with `ChildLost` when the child ends before its answer. */
  ask(call: TokenCall): Promise<TokenReply> {
    if (this.#waiting !== undefined) throw new Error('this child is busy');
    if (this.#isGone) return Promise.reject(new ChildLost('the process of the PKCS#11 module is gone'));
    const request: TokenRequest = { id: this.#nextId, call };
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#process.send(request, (error) => {
        if (error !== null) this.kill();
      });
    });
  }

  /** Ends the child at once, also when a module's call hangs; what it owed is rejected now. */
  kill(): void {
    this.#process.kill('SIGKILL');
    this.#gone();
  }

  #settle(reply: TokenReply): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(reply);
  }

  #gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(new ChildLost('the process of the PKCS#11 module ended during the call'));
    this.#onGone();
  }
}
