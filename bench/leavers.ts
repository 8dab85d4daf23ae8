import { performance } from 'node:perf_hooks';
import { systemClock } from '@auditrax/base';
import { createAttemptCounter } from '../app/platform/http/attempt-counter.ts';
import { recordAttempt } from '../app/domains/connections/index.ts';
import { changeSettings, createConnection, turnConnection } from '../app/domains/connections/service.ts';
import { by, oidc } from '../app/domains/connections/testing/asking.ts';
import { routes } from '../app/domains/provisioning/contract.ts';
import type { ProvisioningDeps } from '../app/domains/provisioning/deps.ts';
import { provisioningProblems, provisioningRoutes } from '../app/domains/provisioning/index.ts';
import { directoryOf } from '../app/domains/provisioning/testing/directory.ts';
import { issueToken } from '../app/domains/provisioning/tokens.ts';
import { startSsoHouse, type SsoHouse } from '../app/domains/sso/testing/sso-house.ts';
import type { BenchResult } from '../app/bin/commands/bench.ts';

/** Enough for a ninety-ninth part of them to be more than one. */
const LEAVERS = 300;
/** A directory of this size stands around them. */
const PEOPLE = 400;
const LIMIT_NONE = 1_000_000;
/** The test database waits for no disk; a leaver is out when the disk has it. */
const DURABLE = ['fsync = on', 'synchronous_commit = on', 'full_page_writes = on'];

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1] ?? Number.NaN;
}

/** A connection in use with a token of its own. */
async function openConnection(house: SsoHouse, deps: ProvisioningDeps) {
  const lead = await house.callerOf((await house.issuer.enrol('harbour', 'lead')).cookie);
  const who = by(lead);
  const id = await createConnection(house.deps, who, { kind: 'oidc', profile: 'okta', name: 'Load' });
  const justInTime = { allowed: true, roleWithoutGroup: 'auditor' } as const;
  await changeSettings(house.deps, who, { id, version: 1, name: 'Load', justInTime, values: oidc });
  const startedBy = { personId: lead.personId, sessionId: lead.sessionId };
  await recordAttempt(house.deps, lead.tenant, { connectionId: id, purpose: 'test', version: 2, startedBy });
  await turnConnection(house.deps, who, { id, to: 'active' });
  const { token } = await issueToken(deps, who, { connectionId: id, days: 90 });
  return { token, base: `${house.origin}/scim/v2/${id}/Users` };
}

/**
 * From the directory's PATCH of `active: false` until its answer, which comes after the last effect: member suspended,
 * sessions, links and approvals ended, entries written, committed to disk; one after the other, through gateway and issuer
 * over TLS, among {@link PEOPLE} people.
 */
export async function measureLeavers(progress: (line: string) => void): Promise<BenchResult> {
  let deps: ProvisioningDeps | undefined;
  const house = await startSsoHouse(systemClock, {
    names: [],
    contracts: Object.values(routes),
    problems: [provisioningProblems],
    rooms: (given) => {
      const limits = { messages_perMinute_max: LIMIT_NONE, refusals_perMinute_max: LIMIT_NONE };
      deps = { ...given, counter: createAttemptCounter(), ...limits };
      return [provisioningRoutes(deps)];
    },
  });
  try {
    for (const setting of DURABLE) await house.issuer.rows(`alter system set ${setting}`);
    await house.issuer.rows('select pg_reload_conf()');
    const { token, base } = await openConnection(house, deps!);
    const say = directoryOf(house);
    progress(`${PEOPLE} people arrive, ${LEAVERS} of them leave`);
    const ids: string[] = [];
    for (let index = 0; index < PEOPLE; index += 1) {
      const userName = `person-${index}@harbour.example`;
      const body = {
        schemas: [USER],
        userName,
        externalId: `00u${index}`,
        displayName: `Person ${index}`,
        active: true,
      };
      ids.push(String((await say('POST', base, { token, body })).json['id']));
    }
    const took_ms: number[] = [];
    const body = { schemas: [PATCH], Operations: [{ op: 'replace', path: 'active', value: false }] };
    for (const id of ids.slice(0, LEAVERS)) {
      const began = performance.now();
      const { status, json } = await say('PATCH', `${base}/${id}`, { token, body });
      took_ms.push(performance.now() - began);
      if (status !== 200 || json['active'] !== false) throw new Error(`a leaver was answered ${status}`);
    }
    const out = await house.issuer.rows<{ n: number }>(
      `select count(*)::int as n from identity.member where state = 'suspended'`,
    );
    if (out[0]!.n !== LEAVERS) throw new Error(`${out[0]!.n} of ${LEAVERS} are out`);
    const [durable] = await house.issuer.rows<{ fsync: string }>('show fsync');
    return {
      figures: {
        scim_leaver_p50_ms: Number(quantile(took_ms, 0.5).toFixed(1)),
        scim_leaver_p99_ms: Number(quantile(took_ms, 0.99).toFixed(1)),
      },
      conditions: { scim_leavers: LEAVERS, scim_people: PEOPLE, scim_fsync: durable!.fsync, scim_sessions_each: 0 },
    };
  } finally {
    await house.stop();
  }
}
