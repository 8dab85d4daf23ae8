import { hash, type X509Certificate } from 'node:crypto';
import type { Clock, Random } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import {
  consistencyProof,
  evaluatePolicy,
  formatAddCheckpoint,
  formatCheckpointText,
  formatPolicy,
  readTimestampReply,
  readWitnessAnswer,
  TIMESTAMP_QUERY_TYPE,
  timestampQuery,
} from '@auditrax/tlog';
import type { SuperHead, SuperLog } from './super-log.ts';
import * as queries from './super-queries.ts';
import type { AskedWitness, WitnessPolicy } from './witness-setting.ts';

/** After a failure: at first soon, then no more often than this. */
const RETRY_MS_MIN = 2_000;
const RETRY_MS_MAX = 10 * 60_000;
/** A token a day bounds what a stolen clock can claim. */
const TIMESTAMP_EVERY_MS = 24 * 60 * 60_000;
/** Ten epochs that the quorum has not co-signed are no hiccup any more. */
export const UNWITNESSED_MS_MAX = 10 * 60_000;

/** A body to be carried outside. The ledger has no way out of the house; whoever carries it can change nothing of it. */
export interface Errand {
  readonly id: string;
  readonly url: string;
  readonly contentType: string;
  /** base64, as the answer is. */
  readonly body: string;
}

/** What came back. Status 0: nobody answered. */
export interface ErrandAnswer {
  readonly id: string;
  readonly status: number;
  readonly body: Uint8Array;
}

export interface WitnessStatus {
  readonly name: string;
  readonly key: string;
  readonly isOwn: boolean;
  /** Size of the super-log that it last co-signed; 0 for none. */
  readonly size: number;
  /** When, by its own clock; null for never. */
  readonly cosigned_ms: number | null;
  readonly failure: string | null;
}

export interface WitnessingStatus {
  readonly witnesses: readonly WitnessStatus[];
  /** Not ours: configured, and those of them that have co-signed lately. */
  readonly independent: number;
  readonly cosigning: number;
  /** First cosignature of an independent witness; null while there is none. */
  readonly since_ms: number | null;
  /** The policy asks for a quorum and it is not met since then; null otherwise. */
  readonly unwitnessedSince_ms: number | null;
  readonly isOverdue: boolean;
  /** Witnesses, groups and quorum in words of C2SP tlog-policy, without addresses; null when nobody is asked. */
  readonly policy: string | null;
  readonly timestamp: { readonly stamped_ms: number | null; readonly failure: string | null } | null;
}

export interface WitnessingDeps {
  readonly home: SystemDoor;
  readonly superLog: SuperLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly policy: WitnessPolicy | undefined;
  readonly authority: { readonly url: string; readonly certificates: readonly X509Certificate[] } | undefined;
  readonly unwitnessed_ms_max?: number;
}

/** The ledger's half of witnessing: what to ask, and what to believe of the answers. */
export interface Witnessing {
  /** Bodies that are due now. */
  errands(): Promise<Errand[]>;
  /** Believes nothing but signatures. */
  answered(answer: ErrandAnswer): Promise<void>;
  status(): Promise<WitnessingStatus>;
}

/** One partner outside, and how it goes with it. */
interface Contact {
  notBefore_ms: number;
  failures: number;
  failure: string | undefined;
}

interface Asked extends Contact {
  readonly witness: AskedWitness;
  /** Where it stands, as far as we know. */
  stands: { generation: number; size: number };
  cosigned: { generation: number; size: number; seconds: number } | undefined;
  asked: SuperHead | undefined;
}

function failed(contact: Contact, why: string, { clock, random }: Pick<WitnessingDeps, 'clock' | 'random'>): void {
  contact.failures += 1;
  contact.failure = why;
  const wait_ms = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(contact.failures - 1, 20));
  // A quarter of it by chance: witnesses that were away together are not asked together for ever.
  contact.notBefore_ms = clock.nowMs() + wait_ms + (random.bytes(1)[0]! / 1024) * wait_ms;
}

function succeeded(contact: Contact): void {
  contact.failures = 0;
  contact.failure = undefined;
  contact.notBefore_ms = 0;
}

const FRESH: Contact = { notBefore_ms: 0, failures: 0, failure: undefined };

export function createWitnessing(deps: WitnessingDeps): Witnessing {
  const { home, superLog, clock, policy } = deps;
  const startedAt_ms = clock.nowMs();
  let known: Promise<Asked[]> | undefined;
  const contacts = (): Promise<Asked[]> => {
    known ??= loadContacts(deps);
    known.catch(() => (known = undefined));
    return known;
  };
  const stamping = createStamping(deps);

  return {
    errands: async () => {
      const head = superLog.head();
      if (head === undefined) return [];
      const due = (await contacts()).filter((one) => isDue(one, head, clock.nowMs()));
      const asked = await Promise.all(due.map((one) => witnessErrand(superLog, one, head)));
      return [...asked, ...(await stamping.errands(head))];
    },
    answered: async (answer) => {
      if (answer.id === STAMP_ID) return stamping.answered(answer);
      const one = (await contacts()).find(({ witness }) => witness.key.text === answer.id);
      if (one?.asked !== undefined) await believe(deps, one, answer);
    },
    status: async () => {
      const all = await contacts();
      const now_ms = clock.nowMs();
      const most_ms = deps.unwitnessed_ms_max ?? UNWITNESSED_MS_MAX;
      const independent = all.filter(({ witness }) => !witness.isOwn);
      const since_ms = policy === undefined ? null : quorumSince(policy, all, startedAt_ms);
      const [first] = await home.system(queries.firstCosignature(independent.map(({ witness }) => witness.key.text)));
      const lately = independent.filter(({ cosigned }) => cosigned && now_ms - cosigned.seconds * 1000 <= most_ms);
      const isLate = since_ms !== null && now_ms - since_ms > 2 * 60_000;
      return {
        witnesses: all.map(statusOf),
        independent: independent.length,
        cosigning: lately.length,
        since_ms: first?.cosigned_at?.getTime() ?? null,
        unwitnessedSince_ms: isLate ? since_ms : null,
        isOverdue: since_ms !== null && now_ms - since_ms > most_ms,
        policy: policy === undefined ? null : wordsOf(policy),
        timestamp: await stamping.status(),
      };
    },
  };
}

/** What a bundle says of the policy. Where a witness answers is nobody's business who only checks its signature. */
function wordsOf({ policy }: WitnessPolicy): string {
  const witnesses = policy.witnesses.map(({ name, key }) => ({ name, key, url: undefined }));
  return formatPolicy({ ...policy, logs: [], witnesses });
}

function statusOf({ witness, cosigned, failure }: Asked): WitnessStatus {
  return {
    name: witness.name,
    key: witness.key.text,
    isOwn: witness.isOwn,
    size: cosigned?.size ?? 0,
    cosigned_ms: cosigned === undefined ? null : cosigned.seconds * 1000,
    failure: failure ?? null,
  };
}

async function loadContacts({ home, policy }: WitnessingDeps): Promise<Asked[]> {
  const witnesses = policy?.witnesses ?? [];
  const rows = await home.system(queries.newestCosignatures(witnesses.map(({ key }) => key.text)));
  return witnesses.map((witness) => {
    const row = rows.find((one) => one.witness === witness.key.text);
    const at = row && { generation: row.generation, size: Number(row.size) };
    const cosigned = at && { ...at, seconds: Math.floor(row.cosigned_at.getTime() / 1000) };
    return { ...FRESH, witness, stands: at ?? { generation: 1, size: 0 }, cosigned, asked: undefined };
  });
}

function isDue(one: Asked, head: SuperHead, now_ms: number): boolean {
  const isDone = one.cosigned?.generation === head.generation && one.cosigned.size === head.size;
  return !isDone && now_ms >= one.notBefore_ms;
}

async function witnessErrand(superLog: SuperLog, one: Asked, head: SuperHead): Promise<Errand> {
  const { witness, stands } = one;
  const from = stands.generation === head.generation ? stands.size : 0;
  const isGrowth = from > 0 && from < head.size;
  const proof = isGrowth ? await consistencyProof({ from, to: head.size }, superLog.tilesOf(head.generation)) : [];
  one.asked = head;
  const body = formatAddCheckpoint({ oldSize: Math.min(from, head.size), proof, checkpoint: head.note });
  return {
    id: witness.key.text,
    url: `${witness.url.replace(/\/$/, '')}/add-checkpoint`,
    contentType: 'text/plain; charset=utf-8',
    body: Buffer.from(body, 'utf8').toString('base64'),
  };
}

async function believe(deps: WitnessingDeps, one: Asked, { status, body }: ErrandAnswer): Promise<void> {
  const head = one.asked!;
  const text = formatCheckpointText(head);
  const reply = { status, body: Buffer.from(body).toString('utf8') };
  const answer = await readWitnessAnswer(reply, { text, key: one.witness.key });
  if (answer.kind === 'cosigned') {
    const { seconds, line } = answer.cosignature;
    const at = { generation: head.generation, size: head.size };
    await deps.home.system(queries.insertCosignature({ ...at, witness: one.witness.key.text, line, seconds }));
    one.stands = at;
    one.cosigned = { ...at, seconds };
    return succeeded(one);
  }
  if (answer.kind === 'refused') return failed(one, status === 0 ? 'it did not answer' : answer.why, deps);
  if (answer.size > head.size)
    return failed(
      one,
      `it has seen ${answer.size} epochs, the super-log has ${head.size}: this house was put back`,
      deps,
    );
  // Asked again at once, from where it stands; one that never agrees backs off like one that refuses.
  const isNew = answer.size !== one.stands.size || one.stands.generation !== head.generation;
  one.stands = { generation: head.generation, size: answer.size };
  if (!isNew) failed(one, 'it names a size and refuses what begins there', deps);
}

/** The latest moment from which on the quorum has signed; the start of this process when it never has. Null: none asked for. */
function quorumSince({ policy }: WitnessPolicy, all: readonly Asked[], startedAt_ms: number): number | null {
  if (policy.quorum === 'none') return null;
  const latest = all.flatMap(({ witness, cosigned }) =>
    cosigned === undefined ? [] : [{ key: witness.key, seconds: cosigned.seconds }],
  );
  latest.sort((a, b) => b.seconds - a.seconds);
  for (let count = 1; count <= latest.length; count += 1) {
    if (evaluatePolicy(policy, latest.slice(0, count)).met) return latest[count - 1]!.seconds * 1000;
  }
  return startedAt_ms;
}

const STAMP_ID = 'timestamp';

/** A token a day over the newest checkpoint. */
function createStamping({ home, clock, random, authority }: WitnessingDeps) {
  const contact = { ...FRESH };
  let asked: { head: SuperHead; nonce: Uint8Array; digest: Uint8Array } | undefined;
  let stamped_ms: number | null | undefined;
  const lastStamped = async (): Promise<number | null> => {
    stamped_ms ??= (await home.system(queries.newestTimestamp))[0]?.stamped_at.getTime() ?? null;
    return stamped_ms;
  };
  return {
    errands: async (head: SuperHead): Promise<Errand[]> => {
      const now_ms = clock.nowMs();
      if (authority === undefined || now_ms < contact.notBefore_ms) return [];
      if (now_ms - ((await lastStamped()) ?? 0) < TIMESTAMP_EVERY_MS) return [];
      const nonce = Buffer.concat([Buffer.of(1), random.bytes(15)]);
      const digest = hash('sha256', formatCheckpointText(head), 'buffer');
      asked = { head, nonce, digest };
      const body = Buffer.from(timestampQuery(digest, nonce)).toString('base64');
      return [{ id: STAMP_ID, url: authority.url, contentType: TIMESTAMP_QUERY_TYPE, body }];
    },
    answered: async ({ status, body }: ErrandAnswer): Promise<void> => {
      if (asked === undefined || authority === undefined) return;
      const { head, nonce, digest } = asked;
      asked = undefined; // one answer to one request
      const expected = { digest, nonce, authorities: authority.certificates };
      const verdict =
        status === 200 ? readTimestampReply(body, expected) : { ok: false as const, why: `status ${status}` };
      if (!verdict.ok) return failed(contact, verdict.why, { clock, random });
      const { generation, size } = head;
      await home.system(
        queries.insertTimestamp({ generation, size, token: verdict.token, stamped_ms: verdict.time_ms }),
      );
      stamped_ms = verdict.time_ms;
      succeeded(contact);
    },
    status: async () =>
      authority === undefined ? null : { stamped_ms: await lastStamped(), failure: contact.failure ?? null },
  };
}
