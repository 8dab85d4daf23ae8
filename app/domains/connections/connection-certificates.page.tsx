import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Facts, Hash, Notice } from '../../ui/display.tsx';
import { GradeChip } from '../../ui/grade.tsx';
import { Ago, dayText } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import type { Deed } from '../../shell/deed.tsx';
import { Failure } from '../../shell/failure.tsx';
import type { Connection, MetadataLook } from '../../shell/wire.ts';
import { ConnectionOwnKeys } from './connection-own-keys.page.tsx';
import { daysText, deedOn, SOON_DAYS } from './connection-words.page.tsx';

type Certificate = Connection['certificates'][number];
const SHOWN_DIGITS = 16;

function StateOf({ certificate }: { certificate: Certificate }) {
  const { state, daysLeft } = certificate;
  if (state === 'pending') return <GradeChip grade="stale" word="waits for you" />;
  if (state === 'retired') return <GradeChip grade="asserted" word="retired" />;
  if (daysLeft < 0) return <GradeChip grade="failing" word="has ended" />;
  return <GradeChip grade={daysLeft <= SOON_DAYS ? 'stale' : 'proven'} word={daysText(daysLeft)} />;
}

function originOf({ source, vouchedBy, decidedAt }: Certificate): string {
  if (source === 'pasted') return 'Pasted by a lead auditor';
  if (vouchedBy !== null) return `In metadata signed by ${vouchedBy.slice(0, SHOWN_DIGITS)}…`;
  return decidedAt === null ? 'In unsigned metadata' : 'In unsigned metadata, then decided by a lead auditor';
}

function decision(connection: Connection, certificate: Certificate, to: 'active' | 'retired'): Deed {
  const deed = deedOn(connection, {
    operation: 'connections.decide-certificate',
    part: `/certificates/${certificate.id}`,
    body: { to },
    title: to === 'active' ? 'Approve this certificate' : 'Retire this certificate',
    isDanger: to === 'retired',
    effects:
      to === 'active'
        ? 'Compare the fingerprint with what your provider shows, not with an e-mail. From now on whoever has its key can sign your people in.'
        : 'What it signs is refused from the next sign-in on. Sessions that are open stay open.',
  });
  return { ...deed, input: { ...deed.input, certificateId: certificate.id } };
}

function CertificateCard(props: { connection: Connection; certificate: Certificate; onDeed: (deed: Deed) => void }) {
  const { connection, certificate, onDeed } = props;
  return (
    <section className="card" aria-label={`Certificate ${certificate.fingerprint.slice(0, SHOWN_DIGITS)}`}>
      <div className="row row--between">
        <h3>{certificate.subject}</h3>
        <StateOf certificate={certificate} />
      </div>
      <Facts
        entries={[
          ['SHA-256', <Hash key="f" text={certificate.fingerprint} />],
          ['Valid', `${dayText(certificate.notBefore)} to ${dayText(certificate.notAfter)}`],
          ['Source', originOf(certificate)],
          ['First seen', <Ago key="s" at={certificate.seenAt} />],
        ]}
      />
      <div className="row">
        {certificate.state !== 'active' && (
          <Button small look="primary" onClick={() => onDeed(decision(connection, certificate, 'active'))}>
            Approve…
          </Button>
        )}
        {certificate.state !== 'retired' && (
          <Button small look="danger" onClick={() => onDeed(decision(connection, certificate, 'retired'))}>
            Retire…
          </Button>
        )}
      </div>
    </section>
  );
}

/** When the provider's metadata was read last, and a way to do it now. */
function MetadataState({ connection }: { connection: Connection }) {
  const client = useQueryClient();
  const [look, setLook] = useState<MetadataLook | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  if (connection.values?.kind !== 'saml' || connection.values.metadataUrl === null)
    return (
      <p className="muted">
        Without an address of metadata new certificates are pasted here. You are told 60, 30 and 7 days before one ends.
      </p>
    );
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      setLook(await request<MetadataLook>(`/api/connections/${connection.id}/metadata`, { body: {} }));
      await client.invalidateQueries({ queryKey: ['connections'] });
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  const lookedAt = connection.metadata?.lookedAt ?? null;
  const trouble = look === null ? connection.metadata?.trouble : look.trouble;
  return (
    <>
      <div className="row">
        <Button small icon="play" busy={busy} onClick={() => void run()}>
          Read the metadata now
        </Button>
        <span className="muted">
          {lookedAt === null ? (
            'Not read yet.'
          ) : (
            <>
              Read <Ago at={lookedAt} />, and daily.
            </>
          )}
        </span>
      </div>
      <div aria-live="polite">
        {trouble && (
          <Notice kind="stale" title="The metadata was not taken over">
            <p>
              {look?.sentence ?? 'It is tried again within the hour.'} <code>{trouble}</code>
            </p>
          </Notice>
        )}
        {look?.trouble === null && (
          <p>
            {look.pending + look.activated === 0
              ? 'Nothing new.'
              : `New certificates: ${look.pending} to approve, ${look.activated} trusted already.`}
          </p>
        )}
      </div>
      <Failure error={error} />
    </>
  );
}

/** What waits for a decision first, what is over last. */
function inOrder(certificates: readonly Certificate[]): readonly Certificate[] {
  const places = ['pending', 'active', 'retired'];
  return [...certificates].sort((left, right) => places.indexOf(left.state) - places.indexOf(right.state));
}

/** The provider's certificates with their days left, and ours. */
export function ConnectionCertificates({
  connection,
  onDeed,
}: {
  connection: Connection;
  onDeed: (deed: Deed) => void;
}) {
  return (
    <div className="stack">
      <MetadataState connection={connection} />
      {inOrder(connection.certificates).map((certificate) => (
        <CertificateCard key={certificate.id} connection={connection} certificate={certificate} onDeed={onDeed} />
      ))}
      {connection.certificates.length === 0 && (
        <p className="muted">None yet: paste the provider’s signing certificate under “Values from there”.</p>
      )}
      <ConnectionOwnKeys connection={connection} onDeed={onDeed} />
    </div>
  );
}
