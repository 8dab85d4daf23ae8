import { parseUuid, type Json, type Uuid } from '@auditrax/base';
import { AGENTS_MAX } from '../../platform/http/caller.ts';

/** The `act` of a token (RFC 8693 4.1): who acts now outermost, whoever had the work before inside of it. */
export interface Act {
  readonly sub: Uuid;
  readonly act?: Act;
}

/** Of agents from first to last; undefined: nobody but the program itself acts. */
export function actOf(agents: readonly Uuid[]): Act | undefined {
  let act: Act | undefined;
  for (const sub of agents) act = act === undefined ? { sub } : { sub, act };
  return act;
}

function memberOf(value: Json | undefined, name: string): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return (value as Readonly<Record<string, Json | undefined>>)[name];
}

/** Agents from first to last, as the `act` of a kept token names them; undefined for anything that `actOf` has not made. */
export function agentsIn(extra: Json | undefined): readonly Uuid[] | undefined {
  const agents: Uuid[] = [];
  for (let act = memberOf(extra, 'act'); act !== undefined; act = memberOf(act, 'act')) {
    const sub = memberOf(act, 'sub');
    const id = typeof sub === 'string' ? parseUuid(sub) : undefined;
    if (id === undefined || agents.length === AGENTS_MAX) return undefined;
    agents.unshift(id);
  }
  return agents;
}
