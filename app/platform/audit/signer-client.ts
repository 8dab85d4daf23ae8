import type { SignedState } from './signer-journal.ts';
import type { Signer, SignerVerdict } from './signer.ts';

/** What the ledger asks of the signer, in process (tests) or over mTLS (the composition root wires the routes). */
export type SignerClient = Pick<Signer, 'addCheckpoint' | 'state'>;

/** One call of an internal route: the composition root's client, already authenticated as the ledger. */
export type InternalPost = (path: string, body: unknown) => Promise<{ status: number; body: unknown }>;

/** The signer behind its routes. Anything but the contract's answers is an error: no answer is not a refusal. */
export function remoteSigner(post: InternalPost): SignerClient {
  return {
    addCheckpoint: async (request) => {
      const reply = await post('/internal/signer/checkpoint', { request });
      if (reply.status === 200) return reply.body as SignerVerdict;
      throw new Error(`the signer answered ${reply.status}`);
    },
    state: async (origin) => {
      const reply = await post('/internal/signer/state', { origin });
      if (reply.status !== 200) throw new Error(`the signer answered ${reply.status}`);
      return reply.body as SignedState & { verifierKey: string };
    },
  };
}
