import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useState, type ReactNode } from 'react';
import { Button } from '../../ui/button.tsx';
import { CodeBlock, Facts, Hash, Notice, PageHead, Stages } from '../../ui/display.tsx';
import { GradeChip } from '../../ui/grade.tsx';
import { toast } from '../../ui/overlay.tsx';
import { Ago } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { ConnectionTabs } from '../../shell/connection-tabs.tsx';
import { Failure } from '../../shell/failure.tsx';
import { DeedDialog, type Deed } from '../../shell/deed.tsx';
import type { Connection } from '../../shell/wire.ts';
import { adviceOn } from './advice-words.ts';
import { ConnectionCertificates } from './connection-certificates.page.tsx';
import { ConnectionForm } from './connection-form.page.tsx';
import { ConnectionGroups } from './connection-groups.page.tsx';
import { daysText, deedOn, kindWords, SOON_DAYS, StateChip } from './connection-words.page.tsx';
import { profileWords } from './profile-words.ts';

type Attempt = Connection['attempts'][number];
const STAGES = ['values', 'test', 'on'] as const;
const stageWords = { values: 'Paste the values', test: 'Test', on: 'Switch on' } as const;

function stageOf({ complete, tested, state }: Connection): (typeof STAGES)[number] | null {
  if (state !== 'draft') return null;
  if (!complete) return 'values';
  return tested ? 'on' : 'test';
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="section" aria-label={title}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/** What is pasted at the provider, under the names it has there. */
function There({ connection }: { connection: Connection }) {
  const words = profileWords[connection.profile][connection.kind];
  return (
    <Part title="Values to paste there">
      <p>{words.where}</p>
      {words.there.map(({ label, address }) => (
        <div key={label} className="stack stack--tight">
          <span className="field__label">{label}</span>
          <CodeBlock label={label} code={connection.addresses[address]} wrap />
        </div>
      ))}
    </Part>
  );
}

function Claims({ attempt }: { attempt: Attempt }) {
  if (attempt.claims === null) return null;
  return (
    <details open>
      <summary>What the provider said, as it came</summary>
      <dl className="stack stack--tight">
        {attempt.claims.map(({ name, value }) => (
          <div key={name}>
            <dt className="muted hash">{name}</dt>
            <dd>
              <Hash text={value} />
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

function TestResult({ attempt }: { attempt: Attempt }) {
  const { failure, detail, subject, groups } = attempt;
  if (failure !== null) {
    const advice = adviceOn(failure.code);
    // The title has said the sentence; what is left is what came from there.
    const said = (detail ?? '')
      .replace(`${failure.check}: ${failure.sentence}`, '')
      .trim()
      .replace(/^\((.*)\)$/s, '$1');
    return (
      <Notice kind="failing" title={`${failure.check === null ? '' : `Check ${failure.check}: `}${failure.sentence}`}>
        {advice !== undefined && (
          <p>
            <b>What to do:</b> {advice}
          </p>
        )}
        {said !== '' && <p className="hash">{said}</p>}
        <p className="muted">
          <code>{failure.code}</code>, <Ago at={attempt.at} />, request <code>{attempt.requestId}</code>
        </p>
      </Notice>
    );
  }
  return (
    <>
      <Notice
        kind="proven"
        title={attempt.current ? 'Accepted, with these settings' : 'Accepted, with earlier settings'}
      >
        <p>
          <Ago at={attempt.at} />. Nobody was signed in by it.
        </p>
      </Notice>
      <Facts
        entries={[
          ['Account’s key', subject === null ? <span className="muted">none</span> : <Hash key="s" text={subject} />],
          [
            'Groups',
            groups === null ? (
              <span key="g">The provider said nothing about groups: nobody’s role is changed by such a sign-in.</span>
            ) : (
              groups.join(', ') || 'in none'
            ),
          ],
        ]}
      />
      <Claims attempt={attempt} />
    </>
  );
}

/** A sign-in that signs nobody in, and what came of the last one. */
function Test({ connection }: { connection: Connection }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const client = useQueryClient();
  const last = connection.attempts.find(({ purpose }) => purpose === 'test');
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      const { url } = await request<{ url: string }>('/api/sso/test', { body: { connectionId: connection.id } });
      location.assign(url);
    } catch (failure) {
      setError(failure);
      setBusy(false);
      // A provider that cannot be reached fails here already: the check is then among the attempts.
      void client.invalidateQueries({ queryKey: ['connections', connection.id] });
    }
  };
  return (
    <Part title="Test">
      <p>
        You sign in at the provider and come back here. Nobody is signed in by it; you see every claim, and the exact
        check where one fails. If the provider shows an error of its own and does not send you back, it does not know
        what you have pasted: compare the{' '}
        {connection.kind === 'oidc' ? 'client ID and the redirect URI' : 'Entity ID and the ACS URL'} on both sides.
      </p>
      <div className="row">
        <Button
          look={connection.complete && !connection.tested ? 'primary' : 'plain'}
          icon="play"
          busy={busy}
          disabled={!connection.complete}
          onClick={() => void run()}
        >
          Test the connection
        </Button>
        {!connection.complete && <span className="muted">First save the values above.</span>}
      </div>
      <Failure error={error} />
      {last && <TestResult attempt={last} />}
    </Part>
  );
}

function Recent({ connection }: { connection: Connection }) {
  const signIns = connection.attempts.filter(({ purpose }) => purpose === 'sign-in');
  if (signIns.length === 0) return null;
  return (
    <Part title="Recent sign-ins">
      <ol className="timeline">
        {signIns.map((attempt) => (
          <li key={attempt.requestId}>
            <div>
              {attempt.failure === null ? (
                'Accepted'
              ) : (
                <>
                  <b>{attempt.failure.check === null ? 'Refused' : `Check ${attempt.failure.check}`}</b>:{' '}
                  {attempt.failure.sentence} <span className="muted hash">{attempt.requestId}</span>
                </>
              )}
              <div className="timeline__time">
                <Ago at={attempt.at} />
              </div>
            </div>
          </li>
        ))}
      </ol>
    </Part>
  );
}

function Warnings({ connection }: { connection: Connection }) {
  const { daysLeft, pending, standIns, state } = connection;
  return (
    <>
      {standIns === 0 && state !== 'disabled' && (
        <Notice
          kind={state === 'active' ? 'failing' : 'stale'}
          title="Nobody who manages this organisation could sign in if this provider were away"
        >
          <p>
            A provider that says nothing cannot be told from one that has let everybody go: four hours after its last
            word nothing works any more for those whom it alone knows, their passkeys included.
          </p>
          <p>
            Invite one more lead under People who makes two passkeys and does not sign in by this provider. That person
            can come in at any time and switch this connection off, and everybody’s passkeys work again.
          </p>
        </Notice>
      )}
      {daysLeft !== null && daysLeft <= SOON_DAYS && (
        <Notice kind={daysLeft < 7 ? 'failing' : 'stale'} title={`The last certificate ${daysText(daysLeft)}`}>
          <p>Nobody comes in by this connection afterwards. Add the provider’s next one before that.</p>
        </Notice>
      )}
      {pending > 0 && (
        <Notice
          kind="stale"
          title={pending === 1 ? 'A certificate waits for you' : `${pending} certificates wait for you`}
        >
          <p>
            The provider’s metadata shows it, but no trusted key has signed that document. Compare it and approve it
            below.
          </p>
        </Notice>
      )}
    </>
  );
}

function turnOf(connection: Connection): Deed {
  const to = connection.state === 'active' ? 'disabled' : 'active';
  return deedOn(connection, {
    operation: 'connections.turn',
    part: '/turn',
    body: { to },
    title: to === 'active' ? 'Switch this connection on' : 'Switch this connection off',
    isDanger: to === 'disabled',
    effects:
      to === 'active'
        ? `It appears on the sign-in page as ${connection.name}. Passkeys go on working beside it, of those who sign in here for four hours after the provider’s last word.`
        : 'Nobody comes in by it, and whoever came in by it is signed out. Accounts and roles stay.',
  });
}

function removalOf(connection: Connection): Deed {
  return deedOn(connection, {
    operation: 'connections.remove',
    part: '/remove',
    body: {},
    title: 'Delete this draft',
    isDanger: true,
    effects: 'Its values, secret and certificates are forgotten, and its addresses lead nowhere.',
  });
}

function Actions({ connection, onDeed }: { connection: Connection; onDeed: (deed: Deed) => void }) {
  const isOn = connection.state === 'active';
  return (
    <>
      <Button
        look={isOn ? 'danger' : connection.tested ? 'primary' : 'plain'}
        disabled={!isOn && !connection.tested}
        onClick={() => onDeed(turnOf(connection))}
      >
        {isOn ? 'Switch off…' : 'Switch on…'}
      </Button>
      {connection.state === 'draft' && (
        <Button look="danger" onClick={() => onDeed(removalOf(connection))}>
          Delete…
        </Button>
      )}
    </>
  );
}

function Parts({ connection, onDeed }: { connection: Connection; onDeed: (deed: Deed) => void }) {
  const stage = stageOf(connection);
  const { id, version } = connection;
  return (
    <>
      {stage && <Stages stages={STAGES} now={stage} words={stageWords} />}
      <Warnings connection={connection} />
      <There connection={connection} />
      <Part title="Values from there">
        <ConnectionForm key={`${id} ${version}`} connection={connection} onDeed={onDeed} />
      </Part>
      <Test connection={connection} />
      <Part title="Groups and roles">
        <ConnectionGroups key={JSON.stringify(connection.groupMap)} connection={connection} onDeed={onDeed} />
      </Part>
      {connection.kind === 'saml' && (
        <Part title="Certificates">
          <ConnectionCertificates connection={connection} onDeed={onDeed} />
        </Part>
      )}
      <Recent connection={connection} />
    </>
  );
}

/** One identity provider: its guided set-up, its test, its groups and its certificates. */
export function ConnectionPage() {
  const { connectionId } = useParams({ from: '/inside/connections/$connectionId' });
  const client = useQueryClient();
  const navigate = useNavigate();
  const [deed, setDeed] = useState<Deed | null>(null);
  const found = useQuery({
    queryKey: ['connections', connectionId],
    queryFn: ({ signal }) => request<Connection>(`/api/connections/${connectionId}`, { signal }),
  });
  const connection = found.data;
  const done = (of: Deed) => {
    setDeed(null);
    toast('Done', of.title);
    void client.invalidateQueries({
      queryKey: ['connections'],
      refetchType: of.operation === 'connections.remove' ? 'none' : 'active',
    });
    if (of.operation === 'connections.remove') void navigate({ to: '/connections' });
  };
  return (
    <>
      <PageHead
        title={connection?.name ?? 'Connection'}
        trail={[
          <Link key="all" to="/connections">
            Single sign-on
          </Link>,
        ]}
        actions={connection && <Actions connection={connection} onDeed={setDeed} />}
      >
        {connection && (
          <span className="row">
            <StateChip state={connection.state} />
            {connection.tested && <GradeChip grade="measured" word="tested" />}
            {profileWords[connection.profile].name}, {kindWords[connection.kind]}
          </span>
        )}
      </PageHead>
      <ConnectionTabs connectionId={connectionId} />
      <Failure error={found.error} />
      {found.isPending && <output className="muted">Loading the connection…</output>}
      {connection && <Parts connection={connection} onDeed={setDeed} />}
      {deed && <DeedDialog deed={deed} onClose={() => setDeed(null)} onDone={() => done(deed)} />}
    </>
  );
}
