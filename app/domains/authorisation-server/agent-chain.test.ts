import { randomUUID } from 'node:crypto';
import type { Json, Uuid } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import { AGENTS_MAX } from '../../platform/http/caller.ts';
import { actOf, agentsIn } from './agent-chain.ts';

const ids = Array.from({ length: AGENTS_MAX + 1 }, () => randomUUID() as Uuid);

describe('the chain of agents in a token', () => {
  it('comes back as it was written, whoever acts now outermost', () => {
    for (let count = 0; count <= AGENTS_MAX; count += 1) {
      const agents = ids.slice(0, count);
      const act = actOf(agents);
      expect(act?.sub).toBe(agents.at(-1));
      expect(agentsIn({ act } as unknown as Json)).toEqual(agents);
    }
    expect(agentsIn(undefined)).toEqual([]);
  });

  it('is nothing when it is longer, or of another form', () => {
    const odd: unknown[] = [
      actOf(ids),
      {},
      null,
      'x',
      [],
      { sub: 'x' },
      { sub: ids[0], act: null },
      { sub: ids[0], act: {} },
    ];
    for (const act of odd) expect([act, agentsIn({ act } as Json)]).toEqual([act, undefined]);
  });
});
