import { Person } from '../../ui/display.tsx';
import { Icon } from '../../ui/icon.tsx';
import { GradeChip, type Grade } from '../../ui/grade.tsx';
import { utcText } from '../../ui/time.tsx';
import type { Entry, EntryPage } from '../../shell/wire.ts';

const outcomeLook: Readonly<Record<Entry['outcome'], Grade>> = {
  allowed: 'proven',
  denied: 'stale',
  failed: 'failing',
};

/** Allowed, denied or failed: shape, word, colour. */
export function OutcomeWord({ outcome }: { outcome: Entry['outcome'] }) {
  return <GradeChip grade={outcomeLook[outcome]} word={outcome} />;
}

/** The type of an entry with its room set apart. */
export function TypeWord({ type }: { type: string }) {
  const [room, ...rest] = type.split('.');
  return (
    <span className="mono">
      <span className="muted">{room}.</span>
      {rest.join('.')}
    </span>
  );
}

/** A person or one of the services. */
export function ActorName({ actor, name }: { actor: Entry['actor']; name: (memberId: string) => string }) {
  if (actor.kind === 'service')
    return (
      <span className="person">
        <span className="person__mark" aria-hidden="true">
          <Icon name="screen" />
        </span>
        <span className="person__text">
          {actor.label} <span className="muted">(service)</span>
        </span>
      </span>
    );
  return <Person label={name(actor.label)} />;
}

/** Whether a signed checkpoint covers the entry: a place in the log, and the shape and word that go with it. */
export function SealWord({ entry, log }: { entry: Pick<Entry, 'position' | 'generation'>; log: EntryPage['log'] }) {
  if (entry.position === null)
    return (
      <span className="muted" title="Written; the sequencer has not given it a place yet">
        sealing…
      </span>
    );
  const sealed = log !== null && (entry.generation! < log.generation || entry.position < log.size);
  return (
    <span
      className="seal"
      title={sealed ? 'Sealed: a signed checkpoint covers it' : 'Waiting for the next signed checkpoint'}
    >
      <Icon name={sealed ? 'lock' : 'clock'} />
      <span className="mono">{entry.position}</span>
      <span className="vh">{sealed ? 'sealed' : 'waiting for its checkpoint'}</span>
    </span>
  );
}

/** How far the log is signed, and who besides its operator has seen it. */
export function WitnessWord({ log }: { log: EntryPage['log'] }) {
  if (log === null) return null;
  const { cosigned } = log;
  return (
    <span className="row">
      <GradeChip grade="proven" word={`sealed up to ${log.size - 1}`} />
      {cosigned === null ? (
        <GradeChip grade="asserted" word="no outside witness" />
      ) : cosigned.by === 0 ? (
        <GradeChip grade="stale" word={`none of ${cosigned.of} witnesses lately`} />
      ) : (
        <>
          <GradeChip grade="proven" word={`co-signed by ${cosigned.by} of ${cosigned.of}`} />
          {cosigned.since !== null && <span>since {utcText(cosigned.since)}</span>}
        </>
      )}
    </span>
  );
}
