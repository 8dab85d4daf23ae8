import { createHash } from 'node:crypto';
import type { Uuid } from '@auditrax/base';
import type { TenantContext, TenantDoor } from '@auditrax/tenancy';
import { DISCLOSURE_CHARS_MAX, type AuditInput } from './leaf.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { RecordAudit } from './record.ts';

/** Which model it was; public, in every entry. */
export interface AiModel {
  readonly provider: string;
  readonly model: string;
  readonly version: string;
}

/** Who asks, and about what row. */
export type AiSubject = Pick<AuditInput, 'actor' | 'resource' | 'requestId' | 'tokenHash' | 'decision'>;

export interface AiEntryDeps {
  readonly door: TenantDoor;
  readonly recordAudit: RecordAudit;
  readonly ledger: Pick<LedgerClient, 'receipt'>;
}

/**
 * A prompt that may leave: its entry is committed, in its place in the log and signed. There is no other way to one, so
 * whatever sends prompts takes this and nothing else.
 */
export class ReleasedPrompt {
  readonly text: string;
  readonly entryId: Uuid;
  /** Index of the entry in the tenant's log. */
  readonly index: number;

  /** Module-private by the token: see `releasePrompt`. */
  constructor(token: symbol, facts: { text: string; entryId: Uuid; index: number }) {
    if (token !== RELEASE) throw new TypeError('a prompt is released by releasePrompt');
    this.text = facts.text;
    this.entryId = facts.entryId;
    this.index = facts.index;
    RELEASED.add(this);
  }

  /** False for an object that only looks like one. */
  static isReleased(value: unknown): value is ReleasedPrompt {
    return typeof value === 'object' && value !== null && RELEASED.has(value);
  }
}
const RELEASE = Symbol('release');
const RELEASED = new WeakSet<object>();

/** A text of any length, withheld: whole where it fits, and always by its hash, which is salted like every withheld value. */
function textOf(name: string, text: string): Record<string, string> {
  const sha256 = createHash('sha256').update(text, 'utf8').digest('hex');
  return { [`${name}Sha256`]: sha256, ...(text.length <= DISCLOSURE_CHARS_MAX ? { [name]: text } : {}) };
}

function facts({ provider, model, version }: AiModel): Record<string, string> {
  return { provider, model, version };
}

/**
 * Records what is about to be asked, and gives it out only with the receipt: committed, sequenced, signed. Throws what the
 * transaction and the ledger throw; then the prompt must not and cannot leave.
 */
export async function releasePrompt(
  deps: AiEntryDeps,
  context: TenantContext,
  { about, model, prompt }: { about: AiSubject; model: AiModel; prompt: string },
): Promise<ReleasedPrompt> {
  const { entryId } = await deps.door.transaction(context, (tx) =>
    deps.recordAudit(tx, {
      ...about,
      type: 'ai.prompt.submitted',
      outcome: 'allowed',
      public: facts(model),
      disclosures: textOf('prompt', prompt),
    }),
  );
  const { index } = await deps.ledger.receipt({ tenantId: context.tenantId, entryId });
  return new ReleasedPrompt(RELEASE, { text: prompt, entryId, index });
}

/** Entry about an answer, or about its absence; in the transaction that keeps the answer. */
export function responseReceived(
  released: ReleasedPrompt,
  { about, model, response }: { about: AiSubject; model: AiModel; response: string | null },
): AuditInput {
  return {
    ...about,
    type: 'ai.response.received',
    outcome: response === null ? 'failed' : 'allowed',
    public: { ...facts(model), prompt: released.entryId },
    ...(response === null ? {} : { disclosures: textOf('response', response) }),
  };
}

/** Entry about what a person made of a suggestion: taken as it was, or overruled, with their text and reason. */
export function suggestionDecided(
  released: ReleasedPrompt,
  given: {
    readonly about: AiSubject;
    readonly model: AiModel;
    readonly suggestion: string;
    /** The person's own text; the suggestion itself when it was accepted. */
    readonly final: string;
    readonly reason?: string;
  },
): AuditInput {
  const isAccepted = given.final === given.suggestion;
  return {
    ...given.about,
    type: isAccepted ? 'ai.suggestion.accepted' : 'ai.suggestion.overridden',
    outcome: 'allowed',
    public: { ...facts(given.model), prompt: released.entryId },
    disclosures: {
      ...textOf('suggestion', given.suggestion),
      ...(isAccepted ? {} : textOf('final', given.final)),
      ...(given.reason === undefined ? {} : { reason: given.reason }),
    },
  };
}
