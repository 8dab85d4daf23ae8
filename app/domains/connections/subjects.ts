import type { Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import type { StepUpSubjects } from '../access/index.ts';
import { parseCertificate } from '@auditrax/saml';
import { hexOf } from './certificates.ts';
import { describePairs, readChange, type Pair } from './changeover.ts';
import type { ConnectionDeps, ReadDeps } from './deps.ts';
import { notFound, refuse } from './errors.ts';
import * as queries from './queries.ts';
import { connectionName, openOwnKeys, openSettings } from './read.ts';

type Subject = StepUpSubjects[string];

/**
 * What stands in the database about a connection, or one of its certificates, when somebody approves a change of it: shown
 * with the approval, and read again before anything is done.
 */
export function connectionFacts(deps: ReadDeps): Subject {
  return async ({ caller, ids }) => {
    const { tenant: context } = caller;
    const id = ids['connectionId'];
    const [row] = id === undefined ? [] : await deps.tenant.scoped(context, queries.connectionById(context, id));
    // The same answer as for a foreign or forged id.
    if (row === undefined) throw notFound();
    const { name } = await openSettings(deps, { context }, row);
    return { name, kind: row.kind, profile: row.profile, state: row.state, version: row.version };
  };
}

/** The same of each operation, and of a certificate where it is about one. */
export function connectionSubjects(deps: ReadDeps & Pick<ConnectionDeps, 'formatId'>): StepUpSubjects {
  const connection = connectionFacts(deps);
  const certificate: Subject = async (question) => {
    const { caller, ids } = question;
    const facts = await connection(question);
    const of = queries.certificatesOf(caller.tenant, ids['connectionId']!);
    const found = (await deps.tenant.scoped(caller.tenant, of)).find(({ id }) => id === ids['certificateId']);
    if (found === undefined) throw notFound();
    return {
      name: facts['name']!,
      certificate: hexOf(found.fingerprint),
      state: found.state,
      endsAt: found.not_after.toISOString(),
    };
  };
  // By their fingerprints: what the provider was given is what becomes current.
  const keys: Subject = async (question) => {
    const facts = await connection(question);
    const { tenant: context } = question.caller;
    const [row] = await deps.tenant.scoped(context, queries.connectionById(context, question.ids['connectionId']!));
    if (row?.own_keys == null) throw notFound();
    const { signing, next, previous } = await openOwnKeys(deps, { context }, row);
    const print = (pair: typeof signing | undefined) =>
      pair === undefined ? 'none' : parseCertificate(pair.certificate, 'active').fingerprint;
    const { name } = facts;
    return { name: name!, current: print(signing), next: print(next?.signing), old: print(previous?.signing) };
  };
  const nameOf = async (context: TenantContext, id: Uuid | undefined) => {
    const name = id === undefined ? undefined : await connectionName(deps, context, id);
    if (name === undefined) throw notFound();
    return name;
  };
  const change: Subject = async ({ caller }) => {
    const under = await readChange(deps, caller.tenant);
    if (under === null) throw refuse('connection_state', 'No change of provider is under way.');
    const { from, to, people } = under;
    const moved = people.filter((one) => one.moved !== null).length;
    const orphans = people.filter(({ isOrphan }) => isOrphan).length;
    return { from: from.name, to: to.name, people: people.length, moved, withoutWayIn: orphans };
  };
  return {
    'connections.begin-change': async ({ caller: { tenant }, ids }) => ({
      from: await nameOf(tenant, ids['fromConnectionId']),
      to: await nameOf(tenant, ids['toConnectionId']),
    }),
    // By what they are called here: whoever approves has read who becomes whom.
    'connections.approve-accounts': ({ caller, input }) =>
      describePairs(deps, caller.tenant, input['pairs'] as unknown as readonly Pair[]),
    'connections.finish-change': change,
    'connections.undo-change': change,
    'connections.own-keys': keys,
    'connections.turn': connection,
    'connections.remove': connection,
    'connections.map-groups': connection,
    'connections.decide-certificate': certificate,
  };
}
