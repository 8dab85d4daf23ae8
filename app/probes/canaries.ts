import { AppError, type Random, type Uuid, uuidV4 } from '@auditrax/base';
import { sql, type SystemDoor, type TenantContext } from '@auditrax/tenancy';
import { formatId, parseId, type IdKeys } from '@auditrax/tenancy/ids';
import type { CanaryRole, CanarySession, CanaryTenant } from '../claims/probe.ts';
import type { EdgeClient } from './edge-client.ts';

const TITLE = 'Canary engagement';
/** Pages of engagements looked through for the canary's own; rooms list the newest first. */
const LISTED_MAX = 50;

interface Tenant {
  readonly slug: string;
  readonly context: TenantContext;
}

export interface CanaryDeps {
  readonly door: SystemDoor;
  readonly edge: EdgeClient;
  readonly idKeys: IdKeys;
  readonly random: Random;
  /** A session of a canary person. */
  readonly session: (slug: string, role: CanaryRole) => Promise<CanarySession>;
}

/** Most canaries that a house has. */
const CANARIES_MAX = 8;

export interface FoundCanaries {
  readonly a: Tenant;
  readonly b: Tenant;
  /** With a schema of its own. */
  readonly c: Tenant | undefined;
  /** With a database of its own. */
  readonly d: Tenant | undefined;
}

/** The tenants that exist to be attacked. Throws `canaries_missing` when the house has not been seeded with them. */
export async function findCanaries(door: SystemDoor): Promise<FoundCanaries> {
  const rows = await door.system(
    sql<{ id: Uuid; part: string; slug: string }>`
      select t.id, t.part, t.slug from platform.tenant t
      where t.kind = 'canary' order by t.slug limit ${CANARIES_MAX}`,
  );
  const found = new Map(
    rows.map(({ id, part, slug }) => [
      slug,
      { slug, context: { tenantId: id, tenantPart: Number(part), requestId: '' } },
    ]),
  );
  const [a, b] = [found.get('canary-a'), found.get('canary-b')];
  if (a === undefined || b === undefined) throw new AppError('canaries_missing', 'there are no two canary tenants yet');
  return { a, b, c: found.get('canary-c'), d: found.get('canary-d') };
}

class Planter {
  readonly #deps: CanaryDeps;
  readonly #tenant: Tenant;
  readonly #cookie: string;
  readonly #rows: Record<string, Uuid> = {};
  readonly #ids: Record<string, string> = {};

  constructor(deps: CanaryDeps, tenant: Tenant, cookie: string) {
    this.#deps = deps;
    this.#tenant = tenant;
    this.#cookie = cookie;
  }

  async call<T>(method: string, path: string, json?: object): Promise<T> {
    const reply = await this.#deps.edge.fetch(path, {
      method,
      cookie: this.#cookie,
      ...(json === undefined ? {} : { json: json as never }),
    });
    if (reply.status >= 300) {
      throw new AppError(
        'canary_not_planted',
        `${method} ${path.replaceAll(/_[\w-]{38}/g, '_…')}: ${reply.status} ${reply.problem() ?? ''}`,
      );
    }
    return reply.json() as T;
  }

  async upload(uploadId: string, content: string): Promise<void> {
    const reply = await this.#deps.edge.fetch(`/api/evidence/uploads/${uploadId}?offset=0`, {
      method: 'PUT',
      cookie: this.#cookie,
      headers: { 'content-type': 'application/octet-stream' },
      body: content,
    });
    if (reply.status !== 200)
      throw new AppError('canary_not_planted', `upload: ${reply.status} ${reply.problem() ?? ''}`);
  }

  /** `as` names a second row of a kind. */
  keep(kind: string, id: string, as = kind): string {
    const parsed = parseId(kind, id, this.#tenant.context, this.#deps.idKeys);
    if (!parsed.ok) throw new AppError('canary_not_planted', `the edge gave an id of ${kind} that is ${parsed.reason}`);
    this.#ids[as] = id;
    this.#rows[as] = parsed.uuid;
    return id;
  }

  /** Kinds whose rows the edge does not give to a lead: genuine tags over rows that do not exist. */
  invent(kind: string): void {
    const uuid = uuidV4(this.#deps.random);
    this.#rows[kind] = uuid;
    this.#ids[kind] = formatId(kind, this.#tenant.context, uuid, this.#deps.idKeys);
  }

  keepRow(kind: string, uuid: Uuid): void {
    this.#rows[kind] = uuid;
    this.#ids[kind] = formatId(kind, this.#tenant.context, uuid, this.#deps.idKeys);
  }

  planted(): CanaryTenant {
    return { ...this.#tenant, ids: this.#ids, rows: this.#rows };
  }
}

interface Listed {
  readonly engagements: readonly { readonly id: string; readonly title: string; readonly state: string }[];
}

async function engagementOf(planter: Planter): Promise<string> {
  const { engagements } = await planter.call<Listed>('GET', `/api/engagements?limit=${LISTED_MAX}`);
  const known = engagements.find((one) => one.title === TITLE && one.state === 'fieldwork');
  if (known !== undefined) return planter.keep('eng', known.id);
  const made = await planter.call<{ id: string; revision: number }>('POST', '/api/engagements', {
    title: TITLE,
    clientName: 'Nobody',
    periodStart: '2026-01-01',
    periodEnd: '2026-12-31',
    catalogue: { source: 'sample' },
  });
  await planter.call('POST', `/api/engagements/${made.id}/state`, { to: 'fieldwork', revision: made.revision });
  return planter.keep('eng', made.id);
}

/** Records a result in the canary's engagement, superseding the one in force; gives its tagged id. */
export async function recordNote(
  call: Planter['call'],
  place: { engagementId: string; criterionId: string },
  note: string,
): Promise<string> {
  const path = `/api/engagements/${place.engagementId}/criteria/${place.criterionId}`;
  const { result } = await call<{ result: { revision: number } | null }>('GET', path);
  const made = await call<{ id: string }>('POST', `${path}/result`, {
    outcome: 'satisfied',
    note,
    observedOn: '2026-01-02',
    revision: result?.revision ?? 0,
  });
  return made.id;
}

async function plantRows(planter: Planter): Promise<void> {
  const engagementId = await engagementOf(planter);
  const { criteria } = await planter.call<{ criteria: { id: string; result: { id: string } | null }[] }>(
    'GET',
    `/api/engagements/${engagementId}/criteria?limit=2`,
  );
  const [first, second] = criteria;
  // Two probes write results at the same time; each has a criterion to itself.
  planter.keep('crt', second!.id, 'crt2');
  const criterionId = planter.keep('crt', first!.id);
  const call: Planter['call'] = (method, path, json) => planter.call(method, path, json);
  planter.keep('res', first!.result?.id ?? (await recordNote(call, { engagementId, criterionId }, 'Canary.')));
  const { evidence } = await planter.call<{ evidence: { id: string }[] }>(
    'GET',
    `/api/engagements/${engagementId}/evidence?limit=1`,
  );
  planter.keep('ev', evidence[0]?.id ?? (await plantEvidence(planter, { engagementId, criterionId })));
}

async function plantEvidence(planter: Planter, place: { engagementId: string; criterionId: string }): Promise<string> {
  const content = 'Canary.\n';
  const { uploadId } = await planter.call<{ uploadId: string }>(
    'POST',
    `/api/engagements/${place.engagementId}/evidence/uploads`,
    {
      criterionId: place.criterionId,
      fileName: 'canary.txt',
      mediaType: 'text/plain',
      sizeBytes: content.length,
      speaksAbout: { from: '2026-01-01', to: '2026-01-02' },
    },
  );
  planter.keep('upl', uploadId);
  await planter.upload(uploadId, content);
  return (await planter.call<{ id: string }>('POST', `/api/evidence/uploads/${uploadId}/complete`)).id;
}

/**
 * Finds or makes real rows of a canary through the real edge, so that a foreign id in an attempt is a genuine one with
 * something behind it.
 */
export async function plantCanary(deps: CanaryDeps, tenant: Tenant): Promise<CanaryTenant> {
  const { cookie, personId } = await deps.session(tenant.slug, 'lead');
  const planter = new Planter(deps, tenant, cookie);
  await plantRows(planter);
  const { entries } = await planter.call<{ entries: { id: string }[] }>('GET', '/api/audit-trail?limit=1');
  if (entries[0] !== undefined) planter.keep('ent', entries[0].id);
  else planter.invent('ent');
  planter.keepRow('mem', personId);
  for (const kind of ['pge', 'inv', 'str', 'con', 'cer', 'acc', 'stk', 'sst', 'sev']) planter.invent(kind);
  if (planter.planted().ids['upl'] === undefined) planter.invent('upl');
  return planter.planted();
}
