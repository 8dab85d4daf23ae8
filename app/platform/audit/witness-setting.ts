import { AppError } from '@auditrax/base';
import { isOwnWitness, nodePrimitives, parsePolicyWith, type Policy, type PolicyWitness } from '@auditrax/tlog';

/** Loopback needs no TLS: what travels is public, and the cosignature is checked. */
const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** True for an address that may be dialled for a witness or a timestamping authority. */
export function isDialable(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, username, password } = new URL(url);
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.has(hostname));
}

/** A witness that is asked: it has an address. */
export interface AskedWitness extends PolicyWitness {
  readonly url: string;
  /** Under a name of this house: it counts as ours, never as independent. */
  readonly isOwn: boolean;
}

/** The policy that this installation asks its witnesses by. */
export interface WitnessPolicy {
  readonly policy: Policy;
  readonly witnesses: readonly AskedWitness[];
}

/** Reads a C2SP tlog-policy whose witnesses have addresses. Throws `bad_setting` with the line. */
export async function readWitnessPolicy(text: string, superOrigin: string): Promise<WitnessPolicy> {
  const read = await parsePolicyWith(nodePrimitives, text);
  if (!read.ok) throw new AppError('bad_setting', `the witness policy, line ${read.line}: ${read.problem}`);
  const witnesses = read.policy.witnesses.map((witness): AskedWitness => {
    const { url } = witness;
    if (url === undefined || !isDialable(url))
      throw new AppError('bad_setting', `the witness policy: ${witness.name} needs an https address`);
    return { ...witness, url, isOwn: isOwnWitness(superOrigin, witness.key) };
  });
  return { policy: read.policy, witnesses };
}
