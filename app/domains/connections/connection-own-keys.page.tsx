import { Button } from '../../ui/button.tsx';
import { CodeBlock, Facts, Notice, Stages } from '../../ui/display.tsx';
import { Ago, dayText } from '../../ui/time.tsx';
import type { Deed } from '../../shell/deed.tsx';
import type { Connection } from '../../shell/wire.ts';
import { daysText, deedOn, SOON_DAYS } from './connection-words.page.tsx';

type OwnKeys = NonNullable<Connection['ownKeys']>;
type Step = 'prepare' | 'use' | 'end' | 'withdraw';
const STAGES = ['prepare', 'use', 'end'] as const;
const stageWords = { prepare: 'Show the next key', use: 'Make it current', end: 'End the old key' } as const;

const words: Readonly<Record<Step, Pick<Deed, 'title' | 'effects'>>> = {
  prepare: {
    title: 'Prepare the next key',
    effects:
      'A new pair of keys stands in our metadata beside the current one. Nothing else changes: requests are signed as before, and assertions to either key are read.',
  },
  use: {
    title: 'Make the next key current',
    effects:
      'Requests are signed with it from now on. A provider that checks signatures and was not given it refuses everybody. The old key goes on reading assertions until you end it.',
  },
  end: {
    title: 'End the old key',
    effects: 'It is forgotten for good. An assertion that the provider still encrypts to it is refused.',
  },
  withdraw: {
    title: 'Withdraw the next key',
    effects: 'It is forgotten and leaves the metadata. If the provider has it already, take it out there as well.',
  },
};

function stepOf(connection: Connection, step: Step): Deed {
  return deedOn(connection, { operation: 'connections.own-keys', part: '/own-keys', body: { step }, ...words[step] });
}

function Certificates({ of, name }: { of: Pick<OwnKeys, 'signing' | 'encryption'>; name: string }) {
  return (
    <details>
      <summary>{name}, where the provider wants certificates pasted</summary>
      <CodeBlock label={`${name}: signing certificate`} code={of.signing} />
      <CodeBlock label={`${name}: encryption certificate`} code={of.encryption} />
    </details>
  );
}

function Buttons({ connection, keys, onDeed }: { connection: Connection; keys: OwnKeys; onDeed: (d: Deed) => void }) {
  const ask = (step: Step) => () => onDeed(stepOf(connection, step));
  if (keys.next !== null)
    return (
      <div className="row">
        <Button small look="primary" onClick={ask('use')}>
          Make it current…
        </Button>
        <Button small look="danger" onClick={ask('withdraw')}>
          Withdraw…
        </Button>
      </div>
    );
  if (keys.previous !== null)
    return (
      <div className="row">
        <Button small look="primary" onClick={ask('end')}>
          End the old key…
        </Button>
      </div>
    );
  return (
    <div className="row">
      <Button small onClick={ask('prepare')}>
        Prepare the next key…
      </Button>
    </div>
  );
}

/** This side's keys, and their change in three steps with dates. */
export function ConnectionOwnKeys({ connection, onDeed }: { connection: Connection; onDeed: (deed: Deed) => void }) {
  const keys = connection.ownKeys;
  if (keys === null) return null;
  const now = keys.next !== null ? 'use' : keys.previous !== null ? 'end' : 'prepare';
  return (
    <section className="stack" aria-label="Our own keys">
      <h3>Our own keys</h3>
      <p className="muted">
        They sign our requests and read encrypted assertions. Their certificates stand in our metadata.
      </p>
      <Stages stages={STAGES} now={now} words={stageWords} />
      {keys.daysLeft <= SOON_DAYS && (
        <Notice kind={keys.daysLeft < 7 ? 'failing' : 'stale'} title={`Our own certificate ${daysText(keys.daysLeft)}`}>
          <p>Prepare the next key, give it to the provider, and make it current before that.</p>
        </Notice>
      )}
      <Facts
        entries={[
          ['Current', `Since ${dayText(keys.since)}, until ${dayText(keys.endsAt)}`],
          [
            'Next',
            keys.next === null ? (
              <span key="n" className="muted">
                none
              </span>
            ) : (
              <span key="n">
                In the metadata since <Ago at={keys.next.madeAt} />, until {dayText(keys.next.endsAt)}
              </span>
            ),
          ],
          [
            'Old',
            keys.previous === null ? (
              <span key="o" className="muted">
                none
              </span>
            ) : (
              <span key="o">
                Replaced <Ago at={keys.previous.replacedAt} />, still reads what is encrypted to it
              </span>
            ),
          ],
        ]}
      />
      {keys.next !== null && (
        <Notice title="Tell the provider before you make it current">
          <p>Have it read our metadata again, or paste the next certificates there beside the current ones.</p>
        </Notice>
      )}
      <Buttons connection={connection} keys={keys} onDeed={onDeed} />
      <Certificates of={keys} name="Current" />
      {keys.next !== null && <Certificates of={keys.next} name="Next" />}
    </section>
  );
}
