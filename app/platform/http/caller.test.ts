import { systemRandom, uuidV4, type Json } from '@auditrax/base';
import type { TokenClaims } from '@auditrax/workload';
import { describe, expect, it } from 'vitest';
import { AGENTS_MAX, callerClaims, callerFromClaims, type CallerFacts } from './caller.ts';

const uuids = (count: number) => Array.from({ length: count }, () => uuidV4(systemRandom));
const [tenantId, personId, sessionId] = uuids(3) as [
  CallerFacts['tenantId'],
  CallerFacts['personId'],
  CallerFacts['sessionId'],
];
const facts: CallerFacts = {
  tenantId,
  tenantPart: 7,
  tenantKind: 'customer',
  personId,
  sessionId,
  role: 'auditor',
  method: 'oauth',
  door: 'edge',
};

function read(agents: Json | undefined) {
  const claims = callerClaims(facts);
  const tctx = agents === undefined ? claims.tctx : { ...claims.tctx, agents };
  return callerFromClaims({ ...claims, tctx, scope: 'read' } as unknown as TokenClaims, 'hash', 'request');
}

describe('the agents of a call', () => {
  it('come out of a token as they went in, and are absent where a person or their program calls', () => {
    const agents = uuids(AGENTS_MAX) as CallerFacts['agents'];
    const claims = { ...callerClaims({ ...facts, agents }), scope: 'read' } as unknown as TokenClaims;
    expect(callerFromClaims(claims, 'hash', 'request')).toMatchObject({ personId, sessionId, agents });
    expect(read(undefined)).not.toHaveProperty('agents');
    expect(callerClaims({ ...facts, agents: [] }).tctx).not.toHaveProperty('agents');
  });

  it('that are not understood leave nobody who calls', () => {
    for (const odd of [[], ['x'], 'x', {}, null, [7], uuids(AGENTS_MAX + 1), [...uuids(1), 'x']])
      expect([odd, read(odd as Json)]).toEqual([odd, undefined]);
  });
});
