import { Person } from '../../ui/display.tsx';
import { Icon } from '../../ui/icon.tsx';
import type { Entry } from '../../shell/wire.ts';

const outcomeLook: Readonly<Record<Entry['outcome'], string>> = {
  allowed: 'proven',
  denied: 'stale',
  failed: 'failing',
};

/** Allowed, denied or failed: shape, word, colour. */
export function OutcomeWord({ outcome }: { outcome: Entry['outcome'] }) {
  return <span className={`grade grade--${outcomeLook[outcome]}`}>{outcome}</span>;
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
