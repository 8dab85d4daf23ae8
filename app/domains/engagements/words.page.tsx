import { GradeChip } from '../../ui/grade.tsx';
import type { Grade } from '../../ui/grade.tsx';
import type { EngagementState, Progress as Done, ResultOutcome } from '../../shell/wire.ts';

export const stateOrder: readonly EngagementState[] = ['draft', 'fieldwork', 'review', 'final'];
export const stateWords: Readonly<Record<EngagementState, string>> = {
  draft: 'Draft',
  fieldwork: 'Fieldwork',
  review: 'Review',
  final: 'Final',
};
export const outcomeWords: Readonly<Record<ResultOutcome, string>> = {
  satisfied: 'satisfied',
  'not-satisfied': 'not satisfied',
  'not-applicable': 'not applicable',
};
const outcomeGrades: Readonly<Record<ResultOutcome, Grade>> = {
  satisfied: 'proven',
  'not-satisfied': 'failing',
  'not-applicable': 'attested',
};

/** The result of a criterion as shape, word and colour; "open" while there is none. */
export function OutcomeChip({ outcome }: { outcome: ResultOutcome | null }) {
  const grade = outcome === null ? 'asserted' : outcomeGrades[outcome];
  return <GradeChip grade={grade} word={outcome === null ? 'open' : outcomeWords[outcome]} />;
}

/** State of an engagement as a chip. */
export function StateChip({ state }: { state: EngagementState }) {
  const look: Readonly<Record<EngagementState, Grade>> = {
    draft: 'asserted',
    fieldwork: 'measured',
    review: 'rehearsed',
    final: 'proven',
  };
  return <GradeChip grade={look[state]} word={stateWords[state]} boxed />;
}

/** A bar of results, in the order satisfied, not satisfied, not applicable, open, with the figures in words. */
export function ResultBar({ done, words = true }: { done: Done; words?: boolean }) {
  const parts = [
    ['satisfied', done.satisfied],
    ['not-satisfied', done.notSatisfied],
    ['not-applicable', done.notApplicable],
  ] as const;
  const recorded = done.total - done.open;
  let x = 0;
  return (
    <span className="result-bar">
      <svg
        className="result-bar__svg"
        viewBox="0 0 100 6"
        preserveAspectRatio="none"
        aria-hidden="true"
        focusable="false"
      >
        <rect className="result-bar__open" width="100" height="6" />
        {parts.map(([key, count]) => {
          const width = done.total > 0 ? (count / done.total) * 100 : 0;
          const rect = <rect key={key} className={`result-bar__${key}`} x={x} width={width} height="6" />;
          x += width;
          return rect;
        })}
      </svg>
      <span className={words ? 'sub num' : 'vh'}>
        {recorded} of {done.total} recorded{done.notSatisfied > 0 && `, ${done.notSatisfied} not satisfied`}
      </span>
    </span>
  );
}
