import { namedUuid } from '../../claims/deterministic-uuid.ts';
import type { Observation } from '../../claims/grade.ts';
// The same escaping serves XML: the five entities are common to both.
import { html as xml, type Html } from './html.ts';
import type { ClaimRow, PageModel } from './model.ts';
import { pageRows } from './model.ts';

/** Newest changes kept in the feed. */
const ENTRIES_MAX = 50;

interface Change {
  readonly row: ClaimRow;
  readonly run: Observation;
}

/** Runs at which a claim turned, the first one seen included. Repetitions are no news. */
function changesOf(row: ClaimRow, model: PageModel): Change[] {
  const runs = model.observations
    .filter((one) => one.probeId === row.claim.probe && one.observedAt_ms <= model.generatedAt_ms)
    .toSorted((a, b) => a.observedAt_ms - b.observedAt_ms);
  return runs.filter((run, at) => runs[at - 1]?.state !== run.state).map((run) => ({ row, run }));
}

function entry({ row, run }: Change, origin: string): Html {
  const at = new Date(run.observedAt_ms).toISOString();
  return xml`<entry>
<id>urn:uuid:${namedUuid('change', row.claim.id, at)}</id>
<title>${row.claim.id} ${run.state === 'green' ? 'holds' : 'fails'}</title>
<updated>${at}</updated>
<link href="${`${origin}/security/claims/${row.claim.id}`}"/>
<summary>${run.detail}</summary>
</entry>
`;
}

/** RFC 4287 feed of turns: a claim that starts to hold, or stops. */
export function atomFeed(model: PageModel): string {
  const { origin, organisation } = model.conditions;
  const changes = pageRows(model)
    .flatMap((row) => changesOf(row, model))
    .toSorted((a, b) => b.run.observedAt_ms - a.run.observedAt_ms || (a.row.claim.id < b.row.claim.id ? -1 : 1))
    .slice(0, ENTRIES_MAX);
  const feed = xml`<feed xmlns="http://www.w3.org/2005/Atom">
<id>urn:uuid:${namedUuid('feed', origin)}</id>
<title>${organisation.name}: security claims that turned</title>
<updated>${new Date(model.generatedAt_ms).toISOString()}</updated>
<author><name>${organisation.name}</name></author>
<link rel="self" href="${`${origin}/security/atom.xml`}"/>
<link href="${`${origin}/security`}"/>
${changes.map((change) => entry(change, origin))}</feed>
`;
  return `<?xml version="1.0" encoding="utf-8"?>\n${feed.markup}`;
}
