import { useQuery } from '@tanstack/react-query';
import { CodeBlock, Notice } from '../../ui/display.tsx';
import { Failure } from '../../shell/failure.tsx';
import { request } from '../../shell/api.ts';
import type { AccessReviewAnswer } from '../../shell/wire.ts';

interface Versions {
  readonly versions: readonly { readonly version: number; readonly text: string }[];
}

async function sha256Hex(text: string): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The text of the version that was frozen, as the workspace keeps it, and whether it has the hash that was frozen. */
async function readText(version: number, sha256: string | null, signal: AbortSignal) {
  const { versions } = await request<Versions>('/api/rules', { signal });
  const found = versions.find((one) => one.version === version);
  if (found === undefined) return null;
  return { text: found.text, fits: sha256 === null ? null : (await sha256Hex(found.text)) === sha256 };
}

function Text({ version, sha256 }: { version: number; sha256: string | null }) {
  const found = useQuery({
    queryKey: ['access-reviews', 'rules', version, sha256],
    queryFn: ({ signal }) => readText(version, sha256, signal),
  });
  if (found.error) return <Failure error={found.error} />;
  if (found.data === undefined) return <output className="muted">Reading the rules…</output>;
  if (found.data === null) return <p className="muted">Their text is older than what the page of rules shows.</p>;
  const { text, fits } = found.data;
  return (
    <>
      {fits === false && (
        <Notice kind="failing" title="The text is not the one that was frozen">
          <p>The version of this number has another hash now. Ask whoever runs this house.</p>
        </Notice>
      )}
      <CodeBlock label={`rules, version ${version}`} code={text} wrap />
      <p className="muted">
        {fits === true
          ? 'Your browser has worked out the hash of this text: it is the one in the snapshot.'
          : fits === null &&
            'This version was saved before hashes were kept, so nothing here says that it is the same text.'}
      </p>
    </>
  );
}

/** What an organisation's own rules take away is not in the lists of this review; which rules they were is. */
export function OwnRules({ rules }: Pick<AccessReviewAnswer, 'rules'>) {
  if (rules === null) return null;
  const { version, sha256, versionNow } = rules;
  return (
    <section className="section" aria-label="Your own access rules">
      <h2>Your own access rules</h2>
      {version === 0 ? (
        <p className="prose">
          When the review began you had none, so the lists above are what everybody could do.
          {versionNow > 0 && ` Since then version ${versionNow} has come into force.`}
        </p>
      ) : (
        <>
          <p className="prose">
            Version {version} was in force. Such rules only take away: on an engagement somebody could do what stands
            above, less what these forbid to their role, office or person.
            {versionNow !== version && ` Since then version ${versionNow} has come into force.`}
          </p>
          {sha256 !== null && <CodeBlock label="SHA-256 of the rules" code={sha256} wrap />}
          <Text version={version} sha256={sha256} />
        </>
      )}
    </section>
  );
}
