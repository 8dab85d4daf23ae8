import { toBase64 } from '@auditrax/tlog';
import type { HandoverVerdict, KeyOffer, Signer, SignerState, SignerVerdict } from './signer.ts';

/** What the ledger asks of the signer, in process (tests) or over mTLS (the composition root wires the routes). */
export type SignerClient = Omit<Signer, 'close'>;

/** What growing a log needs of it. */
export type HeadSigner = Pick<Signer, 'addCheckpoint' | 'state'>;

/** One call of an internal route: the composition root's client, already authenticated as the ledger. */
export type InternalPost = (path: string, body: unknown) => Promise<{ status: number; body: unknown }>;

/** The signer behind its routes. Anything but the contract's answers is an error: no answer is not a refusal. */
export function remoteSigner(post: InternalPost): SignerClient {
  const ask = async <T>(path: string, body: unknown): Promise<T> => {
    const reply = await post(`/internal/signer/${path}`, body);
    if (reply.status !== 200) throw new Error(`the signer answered ${reply.status}`);
    return reply.body as T;
  };
  return {
    addCheckpoint: (request, opening) => {
      const more = opening === undefined ? {} : { opening: toBase64(opening) };
      return ask<SignerVerdict>('checkpoint', { request, ...more });
    },
    state: (origin) => ask<SignerState>('state', { origin }),
    makeKey: async () => {
      await ask('key', {});
    },
    offerKey: async (origin, overlap) =>
      (await ask<{ offer: KeyOffer | null }>('offer', { origin, overlap })).offer ?? undefined,
    handOver: ({ leaf, proof, ...rest }) =>
      ask<HandoverVerdict>('handover', { ...rest, leaf: toBase64(leaf), proof: proof.map(toBase64) }),
    retireKeys: async () => (await ask<{ destroyed: number[] }>('retire', {})).destroyed,
  };
}
