import type { Observation, StripMark } from '../../claims/grade.ts';
import { SECTIONS } from '../../claims/model.ts';
import type { FigureTable } from '../../claims/probe.ts';
import { framed, instant, utc } from './frame.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { missingOf, type ClaimRow, type PageModel } from './model.ts';
import { chip } from './public.ts';

/** Runs that a claim's page lists one by one; its JSON has the same. */
export const HISTORY_RUNS_MAX = 60;

/** Runs of the claim's probe, newest first, at most HISTORY_RUNS_MAX. */
export function historyOf(row: ClaimRow, model: PageModel): Observation[] {
  return model.observations
    .filter((one) => one.probeId === row.claim.probe && one.observedAt_ms <= model.generatedAt_ms)
    .toSorted((a, b) => b.observedAt_ms - a.observedAt_ms)
    .slice(0, HISTORY_RUNS_MAX);
}

function tick(mark: StripMark): Html {
  if (mark.kind === 'gap')
    return html`<li class="tick tick--gap">
      <span class="vh">no run from ${utc(mark.from_ms)} to ${utc(mark.to_ms)}</span>
    </li>`;
  return mark.state === 'green'
    ? html`<li class="tick tick--ok"><span class="vh">held ${utc(mark.at_ms)}</span></li>`
    : html`<li class="tick tick--failing"><span class="vh">failed ${utc(mark.at_ms)}</span></li>`;
}

function strip(marks: readonly StripMark[]): Html {
  if (marks.length === 0) return html`<p class="muted">No run is recorded.</p>`;
  const start = (mark: StripMark): number => (mark.kind === 'gap' ? mark.from_ms : mark.at_ms);
  const last = marks.at(-1)!;
  return html`<ol class="ticks" aria-label="Last runs, oldest first">
      ${marks.map(tick)}
    </ol>
    <p class="ticks__ends">${instant(start(marks[0]!))}${instant(last.kind === 'gap' ? last.to_ms : last.at_ms)}</p>`;
}

function facts(pairs: readonly (readonly [string, Html | string | undefined])[]): Html {
  return html`<dl class="facts">
    ${pairs
      .filter(([, value]) => value !== undefined)
      .map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
  </dl>`;
}

function duration(seconds: number): string {
  if (seconds >= 2 * 86_400) return `${Math.round(seconds / 86_400)} days`;
  return seconds >= 2 * 3_600 ? `${Math.round(seconds / 3_600)} hours` : `${Math.round(seconds / 60)} minutes`;
}

function enforcement(row: ClaimRow): Html {
  const { claim } = row;
  if (claim.enforcers.length === 0) {
    return html`<p>
      ${claim.kind === 'attested' ? 'A document of a third party would speak for it; code cannot.' : 'Nothing in this build is named as enforcing it.'}
      Answering for it: <code>${claim.module}</code>.
    </p>`;
  }
  return html`<div class="table-box" tabindex="0" role="region" aria-label="Enforcing code">
    <table class="table">
      <thead>
        <tr>
          <th scope="col">File</th>
          <th scope="col">Export</th>
          <th scope="col">Without it the claim</th>
        </tr>
      </thead>
      <tbody>
        ${claim.enforcers.map(
          (one) =>
            html`<tr>
              <td><code>${one.file}</code></td>
              <td><code>${one.export}</code></td>
              <td>${one.necessary ? 'turns red' : 'still holds by the others'}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function measuredSoFar({ summary, caption, columns, rows }: FigureTable): Html {
  return html`<p>${summary}</p>
    <p class="muted">${caption}</p>
    <div class="table-box" tabindex="0" role="region" aria-label="Measured so far">
      <table class="table">
        <thead>
          <tr>
            <td></td>
            ${columns.map((name) => html`<th scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            ({ name, cells }) =>
              html`<tr>
                <th scope="row">${name}</th>
                ${cells.map((cell) => html`<td>${cell}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
}

function newestRecord(row: ClaimRow): Html {
  const { newest } = row.graded;
  if (newest === undefined) return html`<p>${row.graded.detail}</p>`;
  return html`${facts([
    ['Seen', instant(newest.observedAt_ms)],
    ['Outcome', newest.state === 'green' ? 'held' : 'failed'],
    ['What was seen', newest.detail],
    [
      'Figure',
      newest.measured === undefined
        ? undefined
        : `${Number(newest.measured.value.toFixed(3))} ${newest.measured.unit} (limit ${newest.measured.limit})`,
    ],
    ['Stand-in', newest.rehearsedAgainst],
    ['Took', `${newest.duration_ms} ms`],
    [
      'Log entry',
      newest.entry === undefined ? 'not in the log' : html`<span class="hash">${newest.entry.entryId}</span>`,
    ],
    ['Leaf', newest.entry?.index === undefined ? undefined : String(newest.entry.index)],
  ])}${newest.evidence !== undefined && html`<pre class="code" tabindex="0"><code>${JSON.stringify(newest.evidence, null, 2)}</code></pre>`}`;
}

function logProof(row: ClaimRow): Html {
  const proof = row.graded.newest?.entry?.proof;
  if (proof === undefined) return html`<p>No proof of inclusion is attached to the newest record yet.</p>`;
  return html`<p>
      Inclusion of the newest record, in the C2SP tlog-proof format:
      <a href="${`/security/claims/${row.claim.id}.tlog-proof`}">download</a>.
    </p>
    <pre class="code" tabindex="0"><code>${proof}</code></pre>`;
}

function commands(row: ClaimRow, model: PageModel): Html {
  const { origin } = model.conditions;
  const { id } = row.claim;
  const run =
    row.claim.probe === undefined
      ? html`<p>
          There is no check of it to run. The next two commands still tell whether this page is the one that was signed.
        </p>`
      : html`<p>Run the check yourself, in a clone of the source:</p>
          <pre
            class="code"
            tabindex="0"
          ><code><span class="prompt">$ </span>npm run -s prove -- ${id} --json</code></pre>`;
  return html`${run}
    <p>Compare what you were served with the signed manifest (the two digests must be the same):</p>
    <pre
      class="code"
      tabindex="0"
    ><code><span class="prompt">$ </span>curl -s ${origin}/security/claims/${id}.json | sha256sum
<span class="prompt">$ </span>curl -s ${origin}/security/manifest.json | tr ',' '\\n' | grep '${id}.json'</code></pre>
    <p>Check the manifest’s signature with a key that you got from somewhere else than this page:</p>
    <pre
      class="code"
      tabindex="0"
    ><code><span class="prompt">$ </span>curl -s ${origin}/security/manifest.json -o manifest.json
<span class="prompt">$ </span>curl -s ${origin}/security/manifest.sig | tr '_-' '/+' | sed 's/$/==/' | base64 -d > manifest.sig
<span class="prompt">$ </span>openssl pkeyutl -verify -pubin -inkey page-key.pem -rawin -in manifest.json -sigfile manifest.sig</code></pre>`;
}

function history(runs: readonly Observation[]): Html {
  if (runs.length === 0) return html`<p class="muted">No run is recorded.</p>`;
  return html`<div class="table-box" tabindex="0" role="region" aria-label="Runs">
    <table class="table">
      <thead>
        <tr>
          <th scope="col">Seen</th>
          <th scope="col">Outcome</th>
          <th scope="col">What was seen</th>
        </tr>
      </thead>
      <tbody>
        ${runs.map(
          (one) =>
            html`<tr>
              <td>${instant(one.observedAt_ms)}</td>
              <td>${one.state === 'green' ? 'held' : 'failed'}</td>
              <td>${one.detail}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function block(title: string, body: Html): Html {
  return html`<section class="block">
    <h2>${title}</h2>
    ${body}
  </section>`;
}

/** `/security/claims/<id>`: one claim, all that speaks for it and against it. */
export function claimPage(row: ClaimRow, model: PageModel): string {
  const { claim, graded } = row;
  const section = SECTIONS.find((one) => one.id === claim.section)!;
  const main = html`<p class="crumbs">
      <a href="/security">Security</a> / <a href="${`/security#${section.id}`}">${section.title}</a>
    </p>
    <div><h1>${claim.sentence}</h1></div>
    <p class="lead">${chip(row)} ${graded.detail}</p>
    ${(claim.exceptions ?? []).map((text) => html`<p class="claim__note">Exception: ${text}</p>`)}
    <ul class="formats">
      <li><a href="${`/security/claims/${claim.id}.json`}">JSON</a></li>
    </ul>
    ${block(
      'The claim',
      facts([
        ['Id', html`<code>${claim.id}</code>`],
        ['Proof', claim.kind],
        ['Figure', row.figure],
        ['Stale after', claim.probe === undefined ? undefined : duration(claim.freshness_seconds_max)],
        ['Failing after', claim.probe === undefined ? undefined : duration(2 * claim.freshness_seconds_max)],
        ['Owner', claim.owner],
        ['Check', claim.probe === undefined ? 'none' : html`<code>${claim.probe}</code>`],
        ['Missing', missingOf(row)],
        [
          'Document',
          graded.document === undefined
            ? undefined
            : html`${graded.document.title}, ${graded.document.issuer},
                <span class="hash">${graded.document.sha256}</span>`,
        ],
      ]),
    )}
    ${row.table !== undefined && block('Measured so far', measuredSoFar(row.table))}
    ${block('What enforces it', enforcement(row))}
    ${block('What would turn it red', html`<p>${claim.wouldTurnRed}</p>`)} ${block('Last runs', strip(graded.strip))}
    ${block('Newest record', newestRecord(row))} ${block('Its place in the log', logProof(row))}
    ${block('Check it yourself', commands(row, model))} ${block('History', history(historyOf(row, model)))}`;
  return framed(model, {
    path: `/security/claims/${claim.id}`,
    title: claim.id,
    description: claim.sentence,
    alternates: [{ href: `/security/claims/${claim.id}.json`, type: 'application/json', title: 'This claim as JSON' }],
    main,
  });
}
