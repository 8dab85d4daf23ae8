import { randomUUID } from 'node:crypto';
import { request } from 'undici';
import type { Uuid } from '@auditrax/base';
import type { Observation, OutsideLedgerClient } from '../platform/audit/index.ts';

/** Between two looks at what is to be carried. */
const LOOK_MS = 2_000;
/** Nothing of what witnesses and authorities answer is longer. */
const ANSWER_BYTES_MAX = 65_536;
const PARTNER_MS_MAX = 10_000;

export interface ErrandsDeps {
  readonly ledger: OutsideLedgerClient;
  readonly record: (observation: Observation) => Promise<unknown>;
  readonly onFailure: (error: unknown) => void;
}

export interface Errands {
  /** One round: carries what is due, and tells when the witnesses are missing. */
  run(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

/** Posts one body; status 0 when nobody answers. Follows no redirect. */
async function carry({ url, contentType, body }: { url: string; contentType: string; body: string }) {
  try {
    const reply = await request(url, {
      method: 'POST',
      headers: { 'content-type': contentType },
      body: Buffer.from(body, 'base64'),
      headersTimeout: PARTNER_MS_MAX,
      bodyTimeout: PARTNER_MS_MAX,
      signal: AbortSignal.timeout(PARTNER_MS_MAX),
    });
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of reply.body as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > ANSWER_BYTES_MAX) return { status: 0, body: '' };
      parts.push(part);
    }
    return { status: reply.statusCode, body: Buffer.concat(parts).toString('base64') };
  } catch {
    return { status: 0, body: '' };
  }
}

/**
 * Carries the ledger's bodies to witnesses and to the timestamping authority, and their answers back: the ledger has no
 * way out of the house. What is carried is signed and what comes back is verified by the ledger, so that this process can
 * lose a message but not change one.
 */
export function createErrands({ ledger, record, onFailure }: ErrandsDeps): Errands {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let isBusy = false;
  let isTold = false;

  const tell = (type: string, outcome: 'failed' | 'allowed', facts: Record<string, string>): Promise<unknown> => {
    const id = randomUUID() as Uuid;
    return record({ type, resource: ['log', id], outcome, requestId: id, public: facts });
  };
  const run = async (): Promise<void> => {
    const due = await ledger.errands();
    await Promise.all(due.map(async (errand) => ledger.answered({ id: errand.id, ...(await carry(errand)) })));
    const { isOverdue, unwitnessedSince_ms } = await ledger.status();
    if (isOverdue && !isTold) {
      const since = unwitnessedSince_ms === null ? '' : new Date(unwitnessedSince_ms).toISOString();
      await tell('audit.witness.missing', 'failed', { since });
    }
    if (!isOverdue && isTold) await tell('audit.witness.back', 'allowed', {});
    isTold = isOverdue;
  };
  const round = async (): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    await run().catch(onFailure);
    isBusy = false;
  };
  return {
    run,
    start: () => {
      timer = setInterval(() => {
        running = round();
      }, LOOK_MS);
    },
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}

/** The sentence of the public page about witnesses. */
export function witnessNote(status: {
  readonly independent: number;
  readonly cosigning: number;
  readonly since_ms: number | null;
  readonly unwitnessedSince_ms: number | null;
}): string {
  const { independent, cosigning, since_ms, unwitnessedSince_ms } = status;
  if (independent === 0)
    return 'No outside witness is configured: nobody but this house has co-signed the audit log, so it proves nothing against its own operator.';
  const since = since_ms === null ? 'not one has signed yet' : `since ${new Date(since_ms).toISOString()}`;
  const missing =
    unwitnessedSince_ms === null
      ? ''
      : ` The witnesses are missing since ${new Date(unwitnessedSince_ms).toISOString()}.`;
  return `The audit log is co-signed by ${cosigning} of ${independent} independent witnesses, ${since}.${missing}`;
}
