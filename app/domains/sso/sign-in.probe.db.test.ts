import { request } from 'node:https';
import { systemClock, systemRandom } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProbeHouse, ProbeRequest, ProbeResponse } from '../../claims/probe.ts';
import { makeProviderKeys, startRehearsedProvider, type ProviderKeys } from '../../rehearsal/index.ts';
import { leadToStandIn, type CanaryDeps } from './canary.ts';
import { oidcProbe, replaysProbe, samlProbe } from './sign-in.probe.ts';
import { createStandIns } from './stand-ins.ts';
import { startSsoHouse, type SsoHouse } from './testing/sso-house.ts';

// Both probes against gateway and issuer: everything of the running house but its processes.

let house: SsoHouse;
let keys: ProviderKeys;
const standIns = createStandIns(systemClock);

beforeAll(async () => {
  [house, keys] = await Promise.all([
    startSsoHouse(systemClock, undefined, { standIns }),
    makeProviderKeys(systemClock),
  ]);
});
afterAll(async () => {
  await house?.stop();
});

function fetchAtEdge(path: string, asked: ProbeRequest = {}): Promise<ProbeResponse> {
  const { host } = new URL(house.origin);
  const body = typeof asked.body === 'string' ? asked.body : '';
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: '127.0.0.1',
        port: house.edgePort,
        servername: 'localhost',
        ca: house.tls.ca,
        agent: false,
        path,
        method: asked.method ?? 'GET',
        headers: {
          host,
          origin: house.origin,
          'sec-fetch-site': 'same-origin',
          'content-length': String(Buffer.byteLength(body)),
          ...(asked.cookie === undefined ? {} : { cookie: asked.cookie }),
          ...asked.headers,
        },
      },
      (answer) => {
        const pieces: Buffer[] = [];
        answer.on('data', (piece: Buffer) => pieces.push(piece));
        answer.once('end', () => {
          const headers = Object.entries(answer.headers).map(([name, value]) => [name, [value].flat().join('\n')]);
          const text = () => Buffer.concat(pieces).toString('utf8');
          const reply = { status: answer.statusCode!, headers: Object.fromEntries(headers) as Record<string, string> };
          resolve({ ...reply, json: () => JSON.parse(text()) as unknown } as ProbeResponse);
        });
      },
    );
    call.once('error', reject);
    call.end(body);
  });
}

const deps = (): CanaryDeps => ({ ...house.deps, standIns });

function probeHouse(): ProbeHouse {
  const identityProvider: ProbeHouse['identityProvider'] = async (kind, work) => {
    const provider = await startRehearsedProvider(keys, { clock: systemClock, random: systemRandom });
    try {
      const wanted = { tenant: 'canary-a', connections: provider.plans[kind], standIn: provider };
      return await work(provider, await leadToStandIn(deps(), wanted, 'request'));
    } finally {
      await provider.close();
    }
  };
  const made: Partial<ProbeHouse> = { clock: systemClock, random: systemRandom, fetch: fetchAtEdge, identityProvider };
  return made as ProbeHouse;
}

describe('the probes of single sign-on', () => {
  it.each([oidcProbe, samlProbe, replaysProbe])(
    '$id is green, again and again, as rehearsed, and leaves no session',
    async (probe) => {
      for (let run = 0; run < 2; run += 1) {
        const result = await probe.run(probeHouse());
        expect(result).toMatchObject({
          state: 'green',
          rehearsedAgainst: expect.stringContaining('played by the house'),
        });
      }
      const open = await house.issuer.rows(
        `select id from identity.session where method = 'sso' and closed_at is null`,
      );
      expect(open).toEqual([]);
    },
  );

  it('leave their connections and the people that they name, however often they run', async () => {
    const count = async (text: string) => (await house.issuer.rows<{ n: number }>(text))[0]!.n;
    expect(await count('select count(*)::int as n from identity.connection')).toBe(17);
    expect(await count('select count(*)::int as n from identity.account')).toBe(17);
  });
});

describe('the stand-in', () => {
  it('is reached by connections of canaries alone', async () => {
    const provider = await startRehearsedProvider(keys, { clock: systemClock, random: systemRandom });
    const wanted = { connections: provider.plans.oidc, standIn: provider };
    for (const tenant of ['harbour', 'nobody'])
      await expect(leadToStandIn(deps(), { ...wanted, tenant }, 'request')).rejects.toMatchObject({
        code: 'canary_tenant_required',
      });
    const [canary] = await leadToStandIn(deps(), { ...wanted, tenant: 'canary-a' }, 'request');
    const url = `${provider.origin}/keys`;
    expect((await standIns.find(canary!)!(url, { method: 'GET' })).status).toBe(200);
    // No other place of this machine: it is the stand-in that is asked about it. And for nobody else even this one.
    const other = `https://127.0.0.1:${house.edgePort}/`;
    expect((await standIns.find(canary!)!(other, { method: 'GET' })).status).toBe(404);
    const [foreign] = await house.issuer.rows<{ id: never }>('select gen_random_uuid() as id');
    expect(standIns.find(foreign!.id)).toBeUndefined();
    await provider.close();
  });

  it('is forgotten a minute later', () => {
    let now_ms = 0;
    const soon = createStandIns({ nowMs: () => now_ms });
    const id = '00000000-0000-4000-8000-000000000001' as never;
    soon.let(id, { origin: 'https://127.0.0.1:1', authority: house.tls.ca });
    expect(soon.find(id)).toBeDefined();
    now_ms = 60_000;
    expect(soon.find(id)).toBeUndefined();
  });
});
