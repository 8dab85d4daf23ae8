import { PROBE_SECONDS_HOUR, type Probe, type ProbeHouse } from '../../claims/probe.ts';
import { checks, verdict, type Checks } from '../../claims/verdict.ts';

const SEEN_MS_MAX = 5_000;
/** What the database says to a row that commits without its entry. */
const UNLOGGED: ReadonlySet<string> = new Set(['audit_unlogged_commit', 'database_rule']);

/** A privileged action through the edge, its entry, and the entry's place in the signed tree. */
async function actAndProve(house: ProbeHouse, done: Checks): Promise<number> {
  const { cookie } = await house.session('a', 'lead');
  const { ids } = house.canaries.a;
  const path = `/api/engagements/${ids['eng']}/criteria/${ids['crt2']}`;
  const { result } = (await house.fetch(path, { cookie })).json() as { result: { revision: number } | null };
  const body = { outcome: 'satisfied', note: 'Looked at.', observedOn: '2026-01-02', revision: result?.revision ?? 0 };
  const reply = await house.fetch(`${path}/result`, { method: 'POST', json: body, cookie });
  done.expect(reply.status === 201, `A result could not be recorded (${reply.status} ${reply.problem() ?? ''}).`);
  const [entry] = await house.noticed(reply.requestId, SEEN_MS_MAX);
  if (!done.expect(entry !== undefined && entry.outcome === 'allowed', 'The action left no entry in the log.'))
    return 0;
  const proof = await house.logProof(entry!.tenantId, entry!.entryId);
  done.expect(proof.ok, `The entry’s proof does not verify: ${proof.reason}.`);
  return proof.treeSize;
}

/** Tries to act without an entry and to change the log, then acts properly and verifies the proof. */
export const privilegedLogProbe: Probe = {
  id: 'audit.privileged-log',
  claims: ['access.privileged-log'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const unlogged = await house.drill('unlogged-write', { tenant: 'a', rowId: house.canaries.a.rows['eng']! });
    const refused = unlogged.kind === 'refused' && UNLOGGED.has(unlogged.code);
    done.expect(
      refused,
      `A row that changed without its entry was ${unlogged.kind === 'refused' ? unlogged.code : 'kept'}.`,
    );
    for (const name of ['grant-change-entry', 'grant-remove-entry', 'grant-empty-log']) {
      const outcome = await house.drill(name, { tenant: 'a' });
      const code = outcome.kind === 'refused' ? outcome.code : 'done';
      done.expect(code === 'tenant_grant_refused', `Under the application’s role, ${name.slice(6)} was ${code}.`);
    }
    const treeSize = await actAndProve(house, done);
    return verdict(done, {
      green: `A row without its entry could not be committed; changing, removing and emptying entries was refused; an action’s entry verified in a signed tree of ${treeSize} entries, with the key pinned at the first start or one that it handed over to.`,
      evidence: { treeSize },
    });
  },
};
