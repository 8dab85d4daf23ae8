/** How well a sentence is backed; `stale` and `failing` lie over the others. Words are fixed: they are a public vocabulary. */
export type Grade = 'proven' | 'measured' | 'rehearsed' | 'attested' | 'asserted' | 'stale' | 'failing';

export const grades: readonly Grade[] = ['proven', 'measured', 'rehearsed', 'attested', 'asserted', 'stale', 'failing'];

/** A chip's own words begin with a capital everywhere; the grades themselves stay as the public vocabulary writes them. */
function sentence(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** Shape, word and colour together; the word may be a figure instead ("41 days"). */
export function GradeChip({ grade, word, boxed = false }: { grade: Grade; word?: string; boxed?: boolean }) {
  return (
    <span className={`grade grade--${grade}${boxed ? ' grade--boxed' : ''}`}>
      {word === undefined ? (
        grade
      ) : (
        <>
          {/* A figure alone does not say how good it is; a word does. */}
          {/^\d/.test(word) && <span className="vh">{grade}: </span>}
          {sentence(word)}
        </>
      )}
    </span>
  );
}

export interface Run {
  readonly at: string;
  readonly kind: 'ok' | 'failing' | 'stale' | 'gap';
}

/** The last runs, oldest left, a gap shown as a gap. */
export function TickStrip({ label, runs }: { label: string; runs: readonly Run[] }) {
  const words = { ok: 'ok', failing: 'failed', stale: 'late', gap: 'no run' } as const;
  return (
    <ol className="ticks" aria-label={label}>
      {runs.map((run) => (
        <li key={run.at} className={`tick tick--${run.kind}`} title={`${run.at} ${words[run.kind]}`}>
          <span className="vh">{`${run.at} ${words[run.kind]}`}</span>
        </li>
      ))}
    </ol>
  );
}
