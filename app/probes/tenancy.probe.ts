import {
  PROBE_SECONDS_HOUR,
  PROBE_SECONDS_MINUTES,
  type DrillOutcome,
  type Probe,
  type ProbeHouse,
  type ProbeResponse,
} from '../claims/probe.ts';
import { checks, verdict } from '../claims/verdict.ts';

/** Time for an attempt to reach the log. */
const SEEN_MS_MAX = 5_000;

function told(outcome: DrillOutcome): string {
  return outcome.kind === 'refused' ? outcome.code : `not refused (${JSON.stringify(outcome.facts)})`;
}

/** Statements without a tenant at the driver's own door, and a proper one beside them. */
export const rowScopeProbe: Probe = {
  id: 'tenancy.row-scope',
  claims: ['tenant.row-scope'],
  everySeconds: PROBE_SECONDS_MINUTES,
  async run(house) {
    const done = checks();
    for (const name of ['guard-unscoped-statement', 'guard-unscoped-join']) {
      const outcome = told(await house.drill(name, { tenant: 'a' }));
      done.expect(
        outcome === 'tenant_statement_refused',
        `A statement that names no tenant for a table was ${outcome}.`,
      );
    }
    const own = await house.drill('scoped-read-own', { tenant: 'a' });
    const facts = own.kind === 'happened' ? own.facts : {};
    done.expect(Number(facts['rows'] ?? 0) > 0, `A read of the tenant’s own rows gave ${told(own)}.`);
    done.expect(facts['foreign'] === 0, 'A scoped read gave a row of another tenant.');
    return verdict(done, {
      green:
        'Two statements that left a table without its tenant were stopped before they were sent; a scoped read gave rows of its own tenant and no other.',
    });
  },
};

/** The application's role with no tenant in context. */
export const denyDefaultProbe: Probe = {
  id: 'tenancy.deny-default',
  claims: ['tenant.deny-default'],
  everySeconds: PROBE_SECONDS_MINUTES,
  async run(house) {
    const done = checks();
    for (const name of ['no-tenant-read', 'no-tenant-update', 'no-tenant-insert']) {
      const outcome = told(await house.drill(name, { tenant: 'a' }));
      done.expect(outcome === 'tenant_scope_missing', `With no tenant set, ${name.slice(10)} was ${outcome}.`);
    }
    return verdict(done, {
      green:
        'Under the application’s role and with no tenant set, reading, changing and adding rows were each refused by the database.',
    });
  },
};

/** A foreign tenant in a parameter, and foreign rows met by a statement. */
export const driverBlockProbe: Probe = {
  id: 'tenancy.driver-block',
  claims: ['tenant.driver-block'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const parameter = told(await house.drill('guard-foreign-parameter', { tenant: 'a' }));
    done.expect(parameter === 'tenant_foreign_parameter', `Another tenant’s id in a parameter was ${parameter}.`);
    const rowId = house.canaries.b.rows['eng']!;
    for (const name of ['tripwire-foreign-read', 'tripwire-foreign-update', 'tripwire-foreign-insert']) {
      const outcome = told(await house.drill(name, { tenant: 'a', rowId }));
      done.expect(
        outcome === 'tenant_tripwire',
        `A statement that met another tenant’s row (${name.slice(17)}) was ${outcome}.`,
      );
    }
    return verdict(done, {
      green:
        'Another tenant’s id in a parameter was stopped before it was sent; reading, changing and adding a row of another tenant each raised in the database.',
    });
  },
};

function withoutItsId(reply: ProbeResponse): string {
  const { date: _date, 'x-request-id': _id, ...headers } = reply.headers;
  return JSON.stringify([reply.status, headers, reply.text().replaceAll(reply.requestId, '')]);
}

function nobody(house: ProbeHouse): ProbeHouse['canaries']['a']['rows'][string] {
  const bytes = Buffer.from(house.random.bytes(16)).toString('hex');
  return `${bytes.slice(0, 8)}-${bytes.slice(8, 12)}-4${bytes.slice(13, 16)}-8${bytes.slice(17, 20)}-${bytes.slice(20)}` as never;
}

/** Genuine ids of the other canary, through the edge, with a live session. */
export const gatewayBlockProbe: Probe = {
  id: 'tenancy.gateway-block',
  claims: ['tenant.gateway-block'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const { cookie } = await house.session('a', 'lead');
    const { ids } = house.canaries.b;
    const own = house.canaries.a.ids;
    const upload = {
      criterionId: ids['crt']!,
      fileName: 'a.txt',
      mediaType: 'text/plain',
      sizeBytes: 1,
      speaksAbout: { from: '2026-01-01', to: '2026-01-01' },
    };
    const attempts = [
      { path: `/api/engagements/${ids['eng']}` },
      { path: `/api/evidence/${ids['ev']}/content` },
      { path: `/api/audit-trail?person=${ids['mem']}` },
      { path: `/api/engagements/${own['eng']}/evidence/uploads`, method: 'POST', json: upload },
    ];
    for (const { path, ...request } of attempts) {
      const reply = await house.fetch(path, { ...request, cookie });
      const route = path.split('?')[0]!.replaceAll(/\/[a-z]+_[\w-]{38}/g, '/…');
      done.expect(reply.status === 404, `${route} with another tenant’s id answered ${reply.status}.`);
      const seen = (await house.noticed(reply.requestId, SEEN_MS_MAX)).find(
        (one) => one.type === 'tenant.attempt.refused',
      );
      done.expect(
        seen?.facts['layer'] === 'gateway',
        `The attempt on ${route} was stopped by: ${String(seen?.facts['layer'] ?? 'nobody who said so')}.`,
      );
    }
    const missing = await house.fetch(`/api/engagements/${house.idOf('eng', 'a', nobody(house))}`, { cookie });
    const foreign = await house.fetch(`/api/engagements/${ids['eng']}`, { cookie });
    done.expect(
      withoutItsId(missing) === withoutItsId(foreign),
      'The answer for another tenant’s id differs from that for an id that does not exist.',
    );
    return verdict(done, {
      green: `${attempts.length} requests with genuine ids of another tenant, in path, query and body, were stopped at the gateway with the same 404 as an id that does not exist, and each is in the log.`,
    });
  },
};

/** Whatever way an attempt is made, nothing of the other canary comes back. */
export const failClosedProbe: Probe = {
  id: 'tenancy.fail-closed',
  claims: ['tenant.fail-closed'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const { cookie } = await house.session('a', 'lead');
    const { ids, rows } = house.canaries.b;
    const reading = ['', '/criteria', `/criteria/${ids['crt']}`, '/evidence'].map(
      (rest) => `/api/engagements/${ids['eng']}${rest}`,
    );
    const paths = [...reading, `/api/evidence/${ids['ev']}/content`, `/api/audit-trail/entries/${ids['ent']}`];
    for (const path of paths) {
      const reply = await house.fetch(path, { cookie });
      done.expect(
        reply.status === 404 && reply.problem() === 'not_found',
        `A route gave ${reply.status} for another tenant’s id.`,
      );
    }
    const drills = [
      { name: 'tripwire-foreign-read', rowId: rows['eng']! },
      { name: 'tripwire-foreign-update', rowId: rows['eng']! },
      { name: 'no-tenant-read', rowId: undefined },
      { name: 'guard-foreign-parameter', rowId: undefined },
      { name: 'guard-unscoped-join', rowId: undefined },
    ];
    for (const { name, rowId } of drills) {
      const outcome = await house.drill(name, { tenant: 'a', ...(rowId === undefined ? {} : { rowId }) });
      const leaked = outcome.kind === 'happened' && Number(outcome.facts['rows'] ?? 0) > 0;
      done.expect(
        !leaked,
        `The attempt ${name} came back with ${outcome.kind === 'happened' ? String(outcome.facts['rows']) : 'no'} rows.`,
      );
    }
    return verdict(done, {
      green: `${paths.length} routes and ${drills.length} attempts below them, made with another tenant’s credentials, came back with nothing.`,
    });
  },
};
