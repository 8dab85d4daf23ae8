import { createHash } from 'node:crypto';
import { canonicalJson, type Json } from '@auditrax/base';
import type { Observation } from '../../claims/grade.ts';
import { PROBE_SECONDS_MINUTES, type Probe, type ProbeHouse } from '../../claims/probe.ts';
import { fetchPublished, visibleText } from '../../claims/published-check.ts';
import { checks, verdict, type Checks } from '../../claims/verdict.ts';

/** A run may be stored while a revision is being made. */
const OVERLAP_MS = 15_000;
/** A revision is made each minute; one older than this knows nothing of the runs since. */
const RENEWED_MINUTES_MAX = 5;
const MINUTE_MS = 60_000;
/** The promise covers this many sentences; a page with fewer has lost some. */
const CLAIMS_MIN = 81;
/** What only a check may make of a claim. */
const EARNED: ReadonlySet<string> = new Set(['proven', 'measured']);

interface ServedClaim {
  readonly id: string;
  readonly sentence: string;
  readonly probe: string | null;
  readonly state: string;
  readonly standing: string;
  readonly observed_at: string | null;
  readonly freshness_seconds_max: number;
}

interface ServedPage {
  readonly revision: number;
  readonly generated_at: string;
  readonly valid_until: string;
  readonly digest: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly claims: readonly ServedClaim[];
}

function recount(claims: readonly ServedClaim[], counts: ServedPage['counts']): boolean {
  const found: Record<string, number> = {};
  for (const { standing } of claims) found[standing] = (found[standing] ?? 0) + 1;
  return (
    Object.entries(counts).every(([standing, count]) => (found[standing] ?? 0) === count) && claims.length >= CLAIMS_MIN
  );
}

/** What the page may say of one claim, worked out again from the recorded runs and from nothing else. */
function judgeClaim(
  claim: ServedClaim,
  page: { runs: readonly Observation[]; generated_ms: number },
  done: Checks,
): void {
  const { id, state, standing } = claim;
  if (claim.probe === null) {
    done.expect(!EARNED.has(standing), `${id} is called ${standing} although no check exists for it.`);
    return;
  }
  // The runs that the revision can have known, and those that it must have known.
  const known = page.runs.filter((run) => run.observedAt_ms <= page.generated_ms);
  const must = known.find((run) => run.observedAt_ms + run.duration_ms <= page.generated_ms - OVERLAP_MS);
  const shown = claim.observed_at === null ? undefined : Date.parse(claim.observed_at);
  const run = known.find((one) => one.observedAt_ms === shown);
  if (state === 'green' || EARNED.has(standing)) {
    const fresh = run !== undefined && page.generated_ms - run.observedAt_ms <= claim.freshness_seconds_max * 1000;
    done.expect(
      run?.state === 'green' && fresh,
      `${id} is shown ${standing} without a fresh recorded run that says so.`,
    );
  }
  if (must === undefined) return;
  done.expect(
    shown !== undefined && shown >= must.observedAt_ms,
    `${id} is shown by an older run than the newest recorded one.`,
  );
  if (run?.state === 'red')
    done.expect(state === 'failing', `${id} is shown ${state} although its newest run was red.`);
}

/** The page's forms against each other. */
async function compareForms(house: ProbeHouse, page: ServedPage, done: Checks): Promise<void> {
  const [html, oscal] = [await fetchPublished(house, '/security'), await fetchPublished(house, '/security/oscal.json')];
  for (const { fault } of [html, oscal]) done.expect(fault === undefined, fault ?? '');
  const text = visibleText(html.reply.text());
  // Another revision came in between: what was read of this one still counts.
  if (!text.includes(page.digest.slice(0, 12))) return;
  for (const { sentence, id } of page.claims)
    done.expect(text.includes(sentence.replaceAll(/\s+/g, ' ')), `The page does not show the sentence of ${id}.`);
  const results = oscal.reply.json() as {
    'assessment-results': { results: { findings: { title: string; target: { status: { state: string } } }[] }[] };
  };
  const findings = new Map(
    results['assessment-results'].results[0]!.findings.map((one) => [one.title, one.target.status.state]),
  );
  for (const { id, state, standing } of page.claims) {
    const wanted = state === 'green' && standing !== 'rehearsed' ? 'satisfied' : 'not-satisfied';
    done.expect(findings.get(id) === wanted, `The OSCAL form says something else of ${id}.`);
  }
}

/** A revision that nobody signed must never be served. */
async function tryForgery(house: ProbeHouse, done: Checks): Promise<void> {
  const forged = await house.service('gateway', {
    method: 'PUT',
    path: '/internal/published',
    credential: 'own',
    body: {
      revision: Number.MAX_SAFE_INTEGER,
      validUntil: house.clock.nowMs() + 60_000,
      files: [
        { path: '/security', mediaType: 'text/html; charset=utf-8', content: '<p class="validity">all is well</p>' },
      ],
      signature: 'A'.repeat(86),
    },
  });
  done.expect(
    forged.code === 'publication_refused',
    `A revision without a valid signature was answered ${forged.status ?? forged.kind}.`,
  );
}

/** Holds the served page against the recorded runs, its other forms, its digest and its signature. */
export const sourceOfTruthProbe: Probe = {
  id: 'trust.source-of-truth',
  claims: ['page.source-of-truth'],
  everySeconds: PROBE_SECONDS_MINUTES,
  async run(house) {
    const done = checks();
    const json = await fetchPublished(house, '/security.json');
    if (!done.expect(json.fault === undefined, json.fault ?? '')) return verdict(done, { green: '' });
    const { digest, ...body } = json.reply.json() as { readonly digest: string } & Record<string, Json>;
    const page = { ...body, digest } as unknown as ServedPage;
    const again = createHash('sha256').update(canonicalJson(body)).digest('hex');
    done.expect(again === digest, 'The digest on the page is not that of its JSON.');
    done.expect(
      Date.parse(page.valid_until) > house.clock.nowMs(),
      'It is served as current after its validity has ended.',
    );
    done.expect(recount(page.claims, page.counts), 'The counts do not add up to the claims shown.');
    const generated_ms = Date.parse(page.generated_at);
    const age_minutes = (house.clock.nowMs() - generated_ms) / MINUTE_MS;
    done.expect(
      age_minutes <= RENEWED_MINUTES_MAX,
      `The page was last worked out ${Math.floor(age_minutes)} minutes ago.`,
    );
    for (const claim of page.claims) {
      const runs = claim.probe === null ? [] : await house.observations(claim.probe);
      judgeClaim(claim, { runs, generated_ms }, done);
    }
    await compareForms(house, page, done);
    await tryForgery(house, done);
    return verdict(done, {
      green: `Revision ${page.revision}: every state was worked out again from the recorded runs and agrees; page, JSON and OSCAL agree; digest and signature hold; an unsigned revision was refused.`,
      evidence: { revision: page.revision, digest, claims: page.claims.length },
    });
  },
};
