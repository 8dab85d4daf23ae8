import { AppError, isAppError, uuidV7, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { stepUpAction } from '../access/index.ts';
import type { ResultOutcome } from './contract.ts';
import { CONTACTS_MAX } from './contract.ts';
import type { EngagementCode } from './errors.ts';
import {
  auditOf,
  enterEngagement,
  notFound,
  permitEngagement,
  recordCardOverrides,
  requireEvent,
  requireRevision,
  withRecordedDenials,
} from './gate.ts';
import { parseCatalogue, type Catalogue } from './oscal.ts';
import type { Asker, CardOverride, EngagementDeps, SteppingAsker } from './ports.ts';
import {
  insertCriteria,
  insertEngagement,
  insertResult,
  readResultGate,
  updateContacts,
  updateState,
} from './queries.ts';
import type { SealedEngagementField } from './sealed-fields.ts';
import { eventTo, type EngagementState } from './states.ts';

export interface CreateInput {
  readonly title: string;
  readonly clientName: string;
  readonly periodStart: string;
  readonly periodEnd: string;
  /** Parsed JSON of an OSCAL catalogue, or `{source: 'sample'}`. */
  readonly catalogue: unknown;
  readonly notACard: readonly string[] | undefined;
}

export interface ResultInput {
  readonly engagementId: Uuid;
  readonly criterionId: Uuid;
  readonly outcome: ResultOutcome;
  readonly note: string;
  readonly observedOn: string;
  /** Number of the result in force that the person saw; 0 for none. */
  readonly revision: number;
  readonly notACard: readonly string[] | undefined;
}

export interface RecordedResult {
  readonly id: Uuid;
  readonly revision: number;
  readonly recordedAt: Date;
}

export interface Moved {
  readonly state: EngagementState;
  readonly revision: number;
}

/**
 * The verbs that change something. Each is one transaction of rows and their audit entries: all of it commits or
 * nothing. Errors: `not_found` (missing or not granted; the latter is on record), the codes of `errors.ts`, and
 * `card_number_refused`.
 */
export interface EngagementService {
  create(who: Asker, input: CreateInput): Promise<{ id: Uuid; revision: number; criteria: number }>;
  recordResult(who: Asker, input: ResultInput): Promise<RecordedResult>;
  move(who: Asker, input: { engagementId: Uuid; to: 'fieldwork' | 'review'; revision: number }): Promise<Moved>;
  finalise(who: SteppingAsker, input: { engagementId: Uuid; engagementTag: string; revision: number }): Promise<Moved>;
  assignContact(who: Asker, input: ContactInput): Promise<{ contacts: readonly Uuid[]; revision: number }>;
  removeContact(who: Asker, input: ContactInput): Promise<{ contacts: readonly Uuid[]; revision: number }>;
}

export interface ContactInput {
  readonly engagementId: Uuid;
  readonly personId: Uuid;
  readonly revision: number;
}

function isSample(catalogue: unknown): boolean {
  return typeof catalogue === 'object' && catalogue !== null && (catalogue as { source?: unknown }).source === 'sample';
}

/** Paths of a catalogue's faults are given from the request's body, so that a form can show them at the field. */
function readCatalogue(deps: EngagementDeps, catalogue: unknown): Catalogue {
  try {
    return parseCatalogue(isSample(catalogue) ? deps.sampleCatalogue() : catalogue);
  } catch (error) {
    if (!isAppError<EngagementCode>(error, 'oscal_invalid', 'oscal_too_large')) throw error;
    throw new AppError(error.code, error.message, {
      field: `body.catalogue${(error.field ?? '$').slice(1)}`,
      ...(error.publicDetail === undefined ? {} : { publicDetail: error.publicDetail }),
    });
  }
}

function catalogueText(catalogue: Catalogue): string {
  const prose = catalogue.criteria.map((item) => `${item.title}\n${item.statement}\n${item.guidance}`);
  return [catalogue.title, catalogue.version, ...prose].join('\n');
}

async function sealCriteria(
  deps: EngagementDeps,
  context: TenantContext,
  catalogue: Catalogue,
): Promise<{ ids: Uuid[]; groups: number[]; contents: Uint8Array[] }> {
  const ids = catalogue.criteria.map(() => uuidV7(deps.clock, deps.random));
  const contents = await Promise.all(
    catalogue.criteria.map(({ key, label, title, path, statement, guidance, parameters }, i) => {
      const content = { key, label, title, path, statement, guidance, parameters };
      return deps.sealer.seal({
        context,
        field: 'app.criterion.content',
        rowId: ids[i]!,
        value: JSON.stringify(content),
      });
    }),
  );
  return { ids, groups: catalogue.criteria.map((item) => item.groupIndex), contents };
}

async function create(
  deps: EngagementDeps,
  who: Asker,
  input: CreateInput,
): Promise<{ id: Uuid; revision: number; criteria: number }> {
  if (input.periodEnd < input.periodStart) {
    throw new AppError<EngagementCode>('engagement_period_invalid', 'the period ends before it begins', {
      field: 'body.periodEnd',
      publicDetail: 'The period ends before it begins.',
    });
  }
  const { title, clientName } = input;
  const catalogue = readCatalogue(deps, input.catalogue);
  const overrides = deps.refuseCardNumber({ title, clientName, catalogue: catalogueText(catalogue) }, input.notACard);
  const context = who.caller.tenant;
  const id = uuidV7(deps.clock, deps.random);
  const seal = (field: SealedEngagementField, value: string): Promise<Uint8Array> =>
    deps.sealer.seal({ context, field, rowId: id, value });
  const facts = { ...catalogue, criteria: undefined };
  const [sealedTitle, sealedClient, sealedCatalogue, criteria] = await Promise.all([
    seal('app.engagement.title', title),
    seal('app.engagement.client_name', clientName),
    seal('app.engagement.catalogue', JSON.stringify(facts)),
    sealCriteria(deps, context, catalogue),
  ]);
  await deps.door.transaction(context, async (tx) => {
    await tx.query(
      insertEngagement(context, {
        id,
        title: sealedTitle,
        clientName: sealedClient,
        catalogue: sealedCatalogue,
        periodStart: input.periodStart,
        periodEnd: input.periodEnd,
        criteriaCount: catalogue.criteria.length,
        createdBy: who.caller.personId,
        createdAt: new Date(deps.clock.nowMs()),
      }),
    );
    await tx.query(insertCriteria(context, { engagementId: id, ...criteria }));
    await deps.recordAudit(tx, {
      ...auditOf(who),
      type: 'engagement.created',
      resource: ['engagement', id],
      outcome: 'allowed',
      public: { criteria: catalogue.criteria.length, periodStart: input.periodStart, periodEnd: input.periodEnd },
      disclosures: { title, clientName, catalogue: catalogue.title, catalogueSha256: catalogue.sha256 },
    });
    await recordCardOverrides(deps, tx, { who, resource: ['engagement', id], engagementId: id, overrides });
  });
  return { id, revision: 1, criteria: catalogue.criteria.length };
}

/** Inserts after the gate has been passed; the number that the person saw must still be the one in force. */
async function addResult(
  tx: ScopedTransaction,
  row: { input: ResultInput; id: Uuid; note: Uint8Array; who: Asker; at: Date },
): Promise<number> {
  const { input, id, note, who, at } = row;
  const { engagementId, criterionId, outcome, observedOn } = input;
  const revision = input.revision + 1;
  const recorded = { recordedBy: who.caller.personId, recordedAt: at };
  const inserted = await tx.query(
    insertResult(tx.context, {
      id,
      engagementId,
      criterionId,
      revision,
      outcome,
      note,
      observedOn,
      ...recorded,
    }),
  );
  // Somebody committed the same number while this transaction waited for them.
  if (inserted.length === 0) requireRevision(revision, input.revision);
  return revision;
}

async function recordResult(deps: EngagementDeps, who: Asker, input: ResultInput): Promise<RecordedResult> {
  const overrides: readonly CardOverride[] = deps.refuseCardNumber({ note: input.note }, input.notACard);
  const context = who.caller.tenant;
  const id = uuidV7(deps.clock, deps.random);
  const at = new Date(deps.clock.nowMs());
  const note = await deps.sealer.seal({ context, field: 'app.result.note', rowId: id, value: input.note });
  const operation = 'engagements.record-result';
  return withRecordedDenials(deps, { who, operation, resource: ['engagement', input.engagementId] }, () =>
    deps.door.transaction(context, async (tx) => {
      const [gate] = await tx.query(readResultGate(context, { ...input, personId: who.caller.personId }));
      if (gate === undefined) throw notFound('engagement');
      const query: typeof tx.query = (statement) => tx.query(statement);
      await permitEngagement({ ...deps, query }, who, { operation, row: gate });
      if (gate.criterion_id === null) throw notFound('criterion');
      requireEvent(gate.state, 'record');
      requireRevision(gate.result_revision ?? 0, input.revision);
      const revision = await addResult(tx, { input, id, note, who, at });
      await deps.recordAudit(tx, {
        ...auditOf(who),
        type: 'result.recorded',
        resource: ['result', id],
        outcome: 'allowed',
        public: {
          engagement: input.engagementId,
          criterion: input.criterionId,
          outcome: input.outcome,
          revision,
          observedOn: input.observedOn,
        },
      });
      await recordCardOverrides(deps, tx, { who, resource: ['result', id], engagementId: gate.id, overrides });
      return { id, revision, recordedAt: at };
    }),
  );
}

async function move(
  deps: EngagementDeps,
  who: Asker,
  input: { engagementId: Uuid; to: 'fieldwork' | 'review'; revision: number },
): Promise<Moved> {
  const about = { who, operation: 'engagements.move', engagementId: input.engagementId, hold: 'alone' as const };
  return withRecordedDenials(deps, { ...about, resource: ['engagement', input.engagementId] }, () =>
    deps.door.transaction(who.caller.tenant, async (tx) => {
      const gate = await enterEngagement(deps, tx, about);
      requireRevision(gate.revision, input.revision);
      const state = requireEvent(gate.state, eventTo(gate.state, input.to));
      await tx.query(updateState(tx.context, { id: gate.id, revision: gate.revision, state, finalisedAt: null }));
      await deps.recordAudit(tx, {
        ...auditOf(who),
        type: 'engagement.moved',
        resource: ['engagement', gate.id],
        outcome: 'allowed',
        public: { from: gate.state, to: state, revision: gate.revision + 1 },
      });
      return { state, revision: gate.revision + 1 };
    }),
  );
}

/**
 * The passkey is asked over what the database says now (state and revision), and both are looked at again, alone, in
 * the transaction that makes it final: nothing can change between the confirmation and the deed unseen.
 */
async function finalise(
  deps: EngagementDeps,
  who: SteppingAsker,
  input: { engagementId: Uuid; engagementTag: string; revision: number },
): Promise<Moved> {
  const context = who.caller.tenant;
  const about = { who, operation: 'engagements.finalise', engagementId: input.engagementId };
  return withRecordedDenials(deps, { ...about, resource: ['engagement', input.engagementId] }, async () => {
    const seen = await enterEngagement(
      deps,
      { context, query: (statement) => deps.door.scoped(context, statement) },
      { ...about, hold: 'free' },
    );
    requireRevision(seen.revision, input.revision);
    requireEvent(seen.state, 'finalise');
    const stepUp = await who.stepUp(
      stepUpAction(who.caller, about.operation, { engagementId: input.engagementTag, revision: seen.revision }),
    );
    return deps.door.transaction(context, async (tx) => {
      const gate = await enterEngagement(deps, tx, { ...about, hold: 'alone' });
      requireRevision(gate.revision, input.revision);
      const state = requireEvent(gate.state, 'finalise');
      const finalisedAt = new Date(deps.clock.nowMs());
      await tx.query(updateState(tx.context, { id: gate.id, revision: gate.revision, state, finalisedAt }));
      await deps.recordAudit(tx, {
        ...auditOf(who),
        type: 'engagement.finalised',
        resource: ['engagement', gate.id],
        outcome: 'allowed',
        stepUpHash: stepUp.assertionHash,
        public: { from: gate.state, to: state, revision: gate.revision + 1 },
      });
      return { state, revision: gate.revision + 1 };
    });
  });
}

type ContactVerb = 'assign-contact' | 'remove-contact';

function changedContacts(contacts: readonly Uuid[], verb: ContactVerb, personId: Uuid): readonly Uuid[] {
  if (verb === 'remove-contact') return contacts.filter((contact) => contact !== personId);
  if (contacts.includes(personId)) return contacts;
  if (contacts.length >= CONTACTS_MAX) {
    throw new AppError<EngagementCode>('engagement_contacts_full', `more than ${CONTACTS_MAX} contacts`, {
      field: 'body.memberId',
      publicDetail: `An engagement has at most ${CONTACTS_MAX} client contacts.`,
    });
  }
  return [...contacts, personId];
}

async function changeContacts(
  deps: EngagementDeps,
  who: Asker,
  { verb, input }: { verb: ContactVerb; input: ContactInput },
): Promise<{ contacts: readonly Uuid[]; revision: number }> {
  const about = { who, operation: `engagements.${verb}`, engagementId: input.engagementId, hold: 'alone' as const };
  return withRecordedDenials(deps, { ...about, resource: ['engagement', input.engagementId] }, () =>
    deps.door.transaction(who.caller.tenant, async (tx) => {
      const gate = await enterEngagement(deps, tx, about);
      requireRevision(gate.revision, input.revision);
      requireEvent(gate.state, 'assign');
      const contacts = changedContacts(gate.contact_ids, verb, input.personId);
      if (contacts.length === gate.contact_ids.length) return { contacts, revision: gate.revision };
      await tx.query(updateContacts(tx.context, { id: gate.id, revision: gate.revision, contactIds: contacts }));
      await deps.recordAudit(tx, {
        ...auditOf(who),
        type: verb === 'assign-contact' ? 'engagement.contact-assigned' : 'engagement.contact-removed',
        resource: ['engagement', gate.id],
        outcome: 'allowed',
        public: { person: input.personId, contacts: contacts.length, revision: gate.revision + 1 },
      });
      return { contacts, revision: gate.revision + 1 };
    }),
  );
}

/** See `EngagementService`. */
export function engagementService(deps: EngagementDeps): EngagementService {
  return {
    create: (who, input) => create(deps, who, input),
    recordResult: (who, input) => recordResult(deps, who, input),
    move: (who, input) => move(deps, who, input),
    finalise: (who, input) => finalise(deps, who, input),
    assignContact: (who, input) => changeContacts(deps, who, { verb: 'assign-contact', input }),
    removeContact: (who, input) => changeContacts(deps, who, { verb: 'remove-contact', input }),
  };
}
