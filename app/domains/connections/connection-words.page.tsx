import type { ComponentProps } from 'react';
import { GradeChip } from '../../ui/grade.tsx';
import type { Deed } from '../../shell/deed.tsx';
import type { Connection, ConnectionSummary } from '../../shell/wire.ts';

export const kindWords = { oidc: 'OpenID Connect', saml: 'SAML 2.0' } as const;

type Grade = ComponentProps<typeof GradeChip>['grade'];
const stateWords: Readonly<Record<ConnectionSummary['state'], readonly [Grade, string]>> = {
  draft: ['asserted', 'draft'],
  active: ['proven', 'active'],
  disabled: ['stale', 'disabled'],
};

/** Whether people come in by it, as a chip. */
export function StateChip({ state }: { state: ConnectionSummary['state'] }) {
  const [grade, word] = stateWords[state];
  return <GradeChip grade={grade} word={word} />;
}

/** Below this many days somebody has to do something about a certificate. */
export const SOON_DAYS = 60;

/** Days until a certificate ends, in words. */
export function daysText(days: number): string {
  if (days < 0) return 'has ended';
  return days === 1 ? 'ends in 1 day' : `ends in ${days} days`;
}

/** A deed on one connection: its path and what is signed follow from the body. */
export function deedOn(
  connection: Pick<Connection, 'id'>,
  of: Pick<Deed, 'operation' | 'title' | 'effects' | 'isDanger'> & {
    readonly part: string;
    readonly body: Deed['body'];
  },
): Deed {
  const { part, body, ...rest } = of;
  const path = `/api/connections/${connection.id}${part}`;
  return { ...rest, path, body, input: { connectionId: connection.id, ...body } };
}
