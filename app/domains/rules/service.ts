import { createHash } from 'node:crypto';
import { AppError, uuidV7, type Clock, type Json, type Random, type Uuid } from '@auditrax/base';
import type { Explanation, RowFilter } from '@auditrax/policy';
import type { ScopedTransaction, TenantContext, TenantDoor } from '@auditrax/tenancy';
import { auditFromCall, changesOf, type AuditInput } from '../../platform/audit/index.ts';
import type { Caller, StepUp } from '../../platform/http/handler.ts';
import { stepUpAction, type RowPolicy } from '../access/index.ts';
import type { Sealer } from '../keys/index.ts';
import { OFFICES_MAX, TRIED_MAX, type RulesView, type Trial, type TriedRow } from './contract.ts';
import type { RulesCode } from './errors.ts';
import { narrowingOf, type Narrowing, type RuledResource, type TenantRules } from './narrowing.ts';
import {
  insertOffice,
  insertPersonOffice,
  insertRules,
  listOffices,
  listPlacedPeople,
  listRuled,
  listRules,
  readOffice,
  readPersonOffice,
  readStanding,
  RULED_COLUMNS,
  updateEngagementOffice,
  updatePersonOffice,
  type RuledRow,
  type RulesRow,
} from './queries.ts';
import { readTenantRules, requireTenantRules } from './sandbox.ts';

/** Decides some of what a list returned and withheld once more, see the sampler of the engagements. */
export type LookAgain = (
  who: { readonly caller: Caller; readonly requestId: string },
  list: {
    readonly operation: string;
    readonly page: { readonly limit: number };
    shown(): Promise<readonly Uuid[]>;
  },
) => void;

export interface RulesDeps {
  readonly look?: LookAgain;
  readonly door: TenantDoor;
  readonly sealer: Pick<Sealer, 'seal' | 'openText'>;
  readonly policy: RowPolicy;
  readonly rules: TenantRules;
  readonly clock: Clock;
  readonly random: Random;
  readonly recordAudit: (tx: ScopedTransaction, input: AuditInput) => Promise<{ entryId: Uuid }>;
  readonly formatId: (kind: string, context: TenantContext, uuid: Uuid) => string;
}

export interface Asker {
  readonly caller: Caller;
  readonly requestId: string;
  stepUp(action: Json): Promise<StepUp>;
}

/** What seeing an engagement is called. */
export const READ = 'engagements.read';

/** What the asker may see themselves: a trial must not show a lead more than the house does. */
export async function visibleFilters(deps: RulesDeps, who: Asker): Promise<RowFilter[]> {
  const narrowing = await inForce(deps, who, who.caller);
  const product = deps.policy.filter(READ, who.caller, {
    type: 'Engagement',
    columns: RULED_COLUMNS,
    idColumn: 'e.id',
  });
  return narrowing === undefined ? [product] : [product, narrowing.filter(READ, RULED_COLUMNS)];
}

/** The newest engagements that the asker may see. */
async function visibleRows(deps: RulesDeps, who: Asker): Promise<RuledRow[]> {
  const context = who.caller.tenant;
  const rows = async (): Promise<RuledRow[]> =>
    deps.door.scoped(context, listRuled(context, { filters: await visibleFilters(deps, who), limit: TRIED_MAX }));
  const found = await rows();
  deps.look?.(who, {
    operation: READ,
    page: { limit: TRIED_MAX },
    shown: async () => (await rows()).map(({ id }) => id),
  });
  return found;
}

/** The rules in force for a person of the asker's organisation. */
export async function inForce(deps: RulesDeps, who: Asker, caller: Caller): Promise<Narrowing | undefined> {
  const context = who.caller.tenant;
  const [standing] = await deps.door.scoped(context, readStanding(context, caller.personId));
  return deps.rules.narrowing({
    query: (statement) => deps.door.scoped(context, statement),
    caller,
    standing: standing ?? { rules_version: null, asker_office: null },
  });
}

function titleOf(deps: RulesDeps, context: TenantContext, row: RuledRow): Promise<string> {
  return deps.sealer.openText({ context, field: 'app.engagement.title', rowId: row.id, sealed: row.title });
}

function openRules(deps: RulesDeps, context: TenantContext, row: RulesRow): Promise<string> {
  return deps.sealer.openText({ context, field: 'app.access_rules.text', rowId: row.id, sealed: row.text });
}

/** Everything the page shows. Read even when the rules in force are unusable: this is where they are mended. */
export async function readAll(deps: RulesDeps, who: Asker): Promise<RulesView> {
  const context = who.caller.tenant;
  const tag = (kind: string, id: Uuid): string => deps.formatId(kind, context, id);
  const [rows, offices, people] = await Promise.all([
    deps.door.scoped(context, listRules(context)),
    deps.door.scoped(context, listOffices(context)),
    deps.door.scoped(context, listPlacedPeople(context)),
  ]);
  const versions = await Promise.all(
    rows.map(async (row) => ({
      version: row.version,
      text: await openRules(deps, context, row),
      writtenBy: tag('mem', row.written_by),
      writtenAt: row.written_at.toISOString(),
      restores: row.restores,
    })),
  );
  const engagements = await visibleRows(deps, who).catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'rules_unusable') return [];
    throw error;
  });
  return {
    version: versions[0]?.version ?? 0,
    text: versions[0]?.text ?? '',
    versions,
    offices: await Promise.all(
      offices.map(async (row) => ({
        id: tag('off', row.id),
        label: await deps.sealer.openText({ context, field: 'app.office.label', rowId: row.id, sealed: row.label }),
      })),
    ),
    people: people.map((row) => ({ memberId: tag('mem', row.id), officeId: tag('off', row.office_id) })),
    engagements: await Promise.all(
      engagements.map(async (row) => ({
        id: tag('eng', row.id),
        title: await titleOf(deps, context, row),
        officeId: row.office_id === null ? null : tag('off', row.office_id),
      })),
    ),
  };
}

/** What decided, and what would have with one condition more; the product's first. */
function wordsOf(explanations: readonly (Explanation | undefined)[]): TriedRow['why'] {
  return explanations.flatMap((explanation) =>
    (explanation?.policies ?? [])
      .filter(({ id, outcome, near }) => id !== 'product' && (outcome === 'applied' || near))
      .map(({ id, effect, outcome, failed }) => ({
        id,
        effect,
        applied: outcome === 'applied',
        failed: failed.map(({ clause, text }) => (clause === 'unless' ? `not: ${text}` : text)),
      })),
  );
}

/** What a text would do to what one person sees, against the rules in force. Changes nothing. */
export async function tryRules(
  deps: RulesDeps,
  who: Asker,
  input: { text: string; personId: Uuid; role: Caller['role'] },
): Promise<Trial> {
  const { set, problems } = readTenantRules(input.text);
  if (problems.length > 0) return { problems: [...problems], rows: [] };
  const context = who.caller.tenant;
  const person: Caller = { ...who.caller, personId: input.personId, role: input.role };
  const rows = await visibleRows(deps, who);
  const now = await inForce(deps, who, person);
  const [place] = await deps.door.scoped(context, readPersonOffice(context, input.personId));
  const next = set === undefined ? undefined : narrowingOf(set, person, place?.office_id ?? null);
  const tried = rows.map(async (row): Promise<TriedRow> => {
    const resource: RuledResource = {
      id: row.id,
      state: row.state,
      contacts: row.contact_ids,
      office: row.office_id,
    };
    const asked = { type: 'Engagement', id: row.id, attributes: { ...resource } };
    const product = deps.policy.decide(READ, person, asked);
    return {
      id: deps.formatId('eng', context, row.id),
      title: await titleOf(deps, context, row),
      before: product && (now === undefined || now.decide(READ, resource)),
      after: product && (next === undefined || next.decide(READ, resource)),
      why: wordsOf([deps.policy.explain(READ, person, asked), next?.explain(READ, resource)]),
    };
  });
  return { problems: [], rows: await Promise.all(tried) };
}

function stale(seen: number, stored: number): AppError<RulesCode> {
  return new AppError<RulesCode>('rules_version_stale', `version ${seen} is not ${stored}`, {
    field: 'body.version',
    publicDetail: `You saw version ${seen}; version ${stored} is in force now. Read it and decide anew.`,
  });
}

/** The former version whose words these are, so that the history says "restored" where somebody restored. */
async function restoredVersion(
  deps: RulesDeps,
  context: TenantContext,
  past: { rows: readonly RulesRow[]; text: string },
): Promise<number | null> {
  for (const row of past.rows) if ((await openRules(deps, context, row)) === past.text) return row.version;
  return null;
}

/** Puts a text in force. Throws `rules_invalid`, `rules_version_stale`, and what a passkey confirmation throws. */
export async function saveRules(
  deps: RulesDeps,
  who: Asker,
  input: { text: string; version: number },
): Promise<{ version: number }> {
  requireTenantRules(input.text);
  const context = who.caller.tenant;
  const rows = await deps.door.scoped(context, listRules(context));
  const stored = rows[0]?.version ?? 0;
  if (stored !== input.version) throw stale(input.version, stored);
  const stepUp = await who.stepUp(stepUpAction(who.caller, 'rules.save', { ...input }));
  const id = uuidV7(deps.clock, deps.random);
  const version = stored + 1;
  const restores = await restoredVersion(deps, context, { rows: rows.slice(1), text: input.text });
  const before = rows[0] === undefined ? null : await openRules(deps, context, rows[0]);
  const text = await deps.sealer.seal({ context, field: 'app.access_rules.text', rowId: id, value: input.text });
  const textHash = createHash('sha256').update(input.text, 'utf8').digest();
  const writtenAt = new Date(deps.clock.nowMs());
  await deps.door.transaction(context, async (tx) => {
    const row = { id, version, text, textHash, restores, writtenBy: who.caller.personId, writtenAt };
    if ((await tx.query(insertRules(context, row))).length === 0) throw stale(input.version, version);
    await deps.recordAudit(tx, {
      ...auditFromCall(who),
      type: 'access-rules.saved',
      resource: ['access-rules', id],
      outcome: 'allowed',
      stepUpHash: stepUp.assertionHash,
      public: { version, restores: restores ?? 0, characters: input.text.length },
      disclosures: changesOf({ text: before }, { text: input.text }),
    });
  });
  return { version };
}

export async function addOffice(deps: RulesDeps, who: Asker, label: string): Promise<{ id: Uuid }> {
  const context = who.caller.tenant;
  const id = uuidV7(deps.clock, deps.random);
  const sealed = await deps.sealer.seal({ context, field: 'app.office.label', rowId: id, value: label });
  const createdAt = new Date(deps.clock.nowMs());
  await deps.door.transaction(context, async (tx) => {
    if ((await tx.query(listOffices(context))).length >= OFFICES_MAX) {
      throw new AppError<RulesCode>('offices_full', `${OFFICES_MAX} offices`, {
        publicDetail: `An organisation has at most ${OFFICES_MAX} offices.`,
      });
    }
    await tx.query(insertOffice(context, { id, label: sealed, createdAt }));
    await deps.recordAudit(tx, {
      ...auditFromCall(who),
      type: 'office.added',
      resource: ['office', id],
      outcome: 'allowed',
      disclosures: { label },
    });
  });
  return { id };
}

function missing(what: string): AppError<'not_found'> {
  return new AppError('not_found', `no such ${what}`);
}

/** Puts a person into an office, or takes them out of every one. */
export async function placePerson(
  deps: RulesDeps,
  who: Asker,
  input: { personId: Uuid; officeId: Uuid; belongs: boolean },
): Promise<Uuid | null> {
  const context = who.caller.tenant;
  const officeId = input.belongs ? input.officeId : null;
  await deps.door.transaction(context, async (tx) => {
    if ((await tx.query(readOffice(context, input.officeId))).length === 0) throw missing('office');
    const row = { personId: input.personId, officeId };
    if ((await tx.query(updatePersonOffice(context, row))).length === 0)
      await tx.query(insertPersonOffice(context, row));
    await deps.recordAudit(tx, {
      ...auditFromCall(who),
      type: 'office.person-placed',
      resource: ['office-person', input.personId],
      outcome: 'allowed',
      public: { office: input.officeId, belongs: input.belongs },
    });
  });
  return officeId;
}

/** Puts an engagement into an office, or takes it out of every one. */
export async function placeEngagement(
  deps: RulesDeps,
  who: Asker,
  input: { engagementId: Uuid; officeId: Uuid; belongs: boolean },
): Promise<Uuid | null> {
  const context = who.caller.tenant;
  const officeId = input.belongs ? input.officeId : null;
  await deps.door.transaction(context, async (tx) => {
    if ((await tx.query(readOffice(context, input.officeId))).length === 0) throw missing('office');
    const row = { engagementId: input.engagementId, officeId };
    if ((await tx.query(updateEngagementOffice(context, row))).length === 0) throw missing('engagement');
    await deps.recordAudit(tx, {
      ...auditFromCall(who),
      type: 'engagement.office-changed',
      resource: ['engagement', input.engagementId],
      outcome: 'allowed',
      public: { office: input.officeId, belongs: input.belongs },
    });
  });
  return officeId;
}
