import { PROBE_SECONDS_HOUR, type Probe, type ProbeHouse } from '../../claims/probe.ts';
import { checks, verdict, type Checks } from '../../claims/verdict.ts';

interface Detail {
  readonly revision: number;
  readonly contacts: readonly string[];
}

/** Gives or takes the client contact's attribute; nothing happens when it is as wanted already. */
async function assign(house: ProbeHouse, memberId: string, assigned: boolean): Promise<void> {
  const { cookie } = await house.session('a', 'lead');
  const path = `/api/engagements/${house.canaries.a.ids['eng']}`;
  const found = await house.fetch(path, { cookie });
  if (found.status !== 200)
    throw Object.assign(new Error('engagement not read'), {
      name: `engagement_${found.status}_${found.problem() ?? ''}`,
    });
  const { revision, contacts } = found.json() as Detail;
  if (contacts.includes(memberId) === assigned) return;
  const reply = await house.fetch(`${path}/contacts${assigned ? '' : '/remove'}`, {
    method: 'POST',
    json: { memberId, revision },
    cookie,
  });
  if (reply.status !== 200) throw Object.assign(new Error('contact not changed'), { name: `contact_${reply.status}` });
}

async function tryFunctions(house: ProbeHouse, done: Checks): Promise<void> {
  const client = (await house.session('a', 'client')).cookie;
  const auditor = (await house.session('a', 'auditor')).cookie;
  const engagement = {
    title: 'Canary',
    clientName: 'Nobody',
    periodStart: '2026-01-01',
    periodEnd: '2026-01-31',
    catalogue: { source: 'sample' },
  };
  const create = { method: 'POST', json: engagement };
  const tries = [
    {
      who: 'A client contact',
      what: 'create an engagement',
      path: '/api/engagements',
      request: { ...create, cookie: client },
      status: 403,
    },
    {
      who: 'A client contact',
      what: 'list the members',
      path: '/api/access/members',
      request: { cookie: client },
      status: 403,
    },
    {
      who: 'A client contact',
      what: 'read the audit trail',
      path: '/api/audit-trail',
      request: { cookie: client },
      status: 403,
    },
    {
      who: 'An auditor',
      what: 'create an engagement',
      path: '/api/engagements',
      request: { ...create, cookie: auditor },
      status: 403,
    },
    {
      who: 'An auditor',
      what: 'see the operator’s pages',
      path: '/api/oncall/pages',
      request: { cookie: auditor },
      status: 404,
    },
  ];
  for (const { who, what, path, request, status } of tries) {
    const reply = await house.fetch(path, request);
    done.expect(reply.status === status, `${who} could try to ${what} (${reply.status}).`);
  }
}

async function reaches(house: ProbeHouse): Promise<{ row: number; listed: boolean }> {
  const { cookie } = await house.session('a', 'client');
  const id = house.canaries.a.ids['eng']!;
  const row = await house.fetch(`/api/engagements/${id}`, { cookie });
  const list = (await house.fetch('/api/engagements', { cookie })).json() as { engagements: { id: string }[] };
  return { row: row.status, listed: list.engagements.some((one) => one.id === id) };
}

/** Functions by role, rows by attribute: without, with, and without the attribute again. */
export const roleAndRowProbe: Probe = {
  id: 'access.role-and-row',
  claims: ['access.rbac-abac'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    await tryFunctions(house, done);
    const memberId = house.idOf('mem', 'a', (await house.session('a', 'client')).personId);
    for (const assigned of [false, true, false]) {
      await assign(house, memberId, assigned);
      const { row, listed } = await reaches(house);
      const word = assigned ? 'assigned' : 'unassigned';
      done.expect(row === (assigned ? 200 : 404), `An ${word} engagement answered ${row} to a client contact.`);
      done.expect(listed === assigned, `An ${word} engagement is ${listed ? '' : 'not '}on a client contact’s list.`);
    }
    return verdict(done, {
      green:
        'Five functions outside a role were refused; a client contact saw an engagement only while it was assigned to them, singly and in the list.',
    });
  },
};
