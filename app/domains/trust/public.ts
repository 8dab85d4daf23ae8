import type { Standing } from '../../claims/grade.ts';
import { framed, instant } from './frame.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { pageRows, STANDINGS, STANDING_WORDS } from './model.ts';
import type { ClaimRow, PageModel } from './model.ts';

/** The chip's class; "without a document" wears the asserted ring, since nothing speaks for it either. */
function chipClass(standing: Standing): string {
  return `grade grade--${standing === 'without-document' ? 'asserted' : standing}`;
}

/** Grade chip: a shape, a word, a colour. A measured claim shows its figure as the word. */
export function chip(row: ClaimRow): Html {
  const { standing, newest } = row.graded;
  const measured = newest?.measured;
  const word =
    standing === 'measured' && measured !== undefined
      ? `${Number(measured.value.toFixed(2))} ${measured.unit}`
      : row.graded.inProgress?.overdue === true
        ? 'overdue'
        : standing === 'without-document'
          ? 'no document'
          : STANDING_WORDS[standing];
  const spoken = standing === 'measured' ? html`<span class="vh">measured: </span>` : undefined;
  return html`<span class="${chipClass(standing)}">${spoken}${word}</span>`;
}

function counts(model: PageModel): Html {
  return html`<ul class="counts" aria-label="Claims by standing">
    ${STANDINGS.map((standing) => {
      const count = model.counts[standing];
      return html`<li class="${count === 0 ? 'count count--zero' : 'count'}">
        <b>${count}</b> <span class="${chipClass(standing)}">${STANDING_WORDS[standing]}</span>
      </li>`;
    })}
  </ul>`;
}

function note(text: string): Html {
  return html`<p class="claim__note">${text}</p>`;
}

function needsReason(row: ClaimRow): boolean {
  return row.graded.state !== 'green';
}

function claimItem(row: ClaimRow): Html {
  const { claim, graded } = row;
  const word = claim.probe === undefined ? 'Why' : 'Prove it';
  return html`<li class="claim" id="${claim.id}">
    ${chip(row)}
    <div class="claim__text">
      <p>${claim.sentence}</p>
      ${(claim.exceptions ?? []).map((text) => note(`Exception: ${text}`))}${needsReason(row) && note(graded.detail)}${row.table !== undefined && note(row.table.summary)}
    </div>
    ${graded.newest === undefined ? html`<span class="claim__time">not observed</span>` : instant(graded.newest.observedAt_ms, { clockOnly: true, className: 'claim__time' })}
    <a class="claim__link" href="${`/security/claims/${claim.id}`}"
      >${word}<span class="vh">: ${claim.sentence}</span></a
    >
  </li>`;
}

function witnesses(count: number): string {
  return `${count} independent ${count === 1 ? 'witness' : 'witnesses'} of the log (this machine’s own never count)`;
}

/** `/security`: every sentence with its standing, the counts, and the same in other forms. */
export function securityPage(model: PageModel): string {
  const { notes } = model.conditions;
  const main = html`<h1>Security, and how you can check it</h1>
    <p class="lead">
      Each sentence below is tied to the code that makes it true and to a check that keeps trying to break it. What
      nobody has checked says so.
    </p>
    ${counts(model)}
    <p class="meta">
      <span>revision <code>${model.digest.slice(0, 12)}</code></span>
      <span>${witnesses(model.conditions.witnessesIndependent)}</span> <span>${pageRows(model).length} claims</span>
    </p>
    <ul class="formats" aria-label="Other forms of this page">
      <li><a href="/security.json">JSON</a></li>
      <li><a href="/security/oscal.json">OSCAL</a></li>
      <li><a href="/security/atom.xml">Atom</a></li>
      <li><a href="/security/manifest.json">Signed manifest</a></li>
    </ul>
    ${
      notes.length > 0 &&
      html`<section class="block" aria-label="About this installation">
        <div class="notice notice--info">
          <p><b>About this installation</b></p>
          ${notes.map((text) => html`<p>${text}</p>`)}
        </div>
      </section>`
    }
    <div class="with-toc">
      <nav class="toc" aria-label="Sections">
        <ol>
          ${model.sections.map((section) => html`<li><a href="${`#${section.id}`}">${section.title}</a></li>`)}
        </ol>
      </nav>
      <div>
        ${model.sections.map(
          (section) =>
            html`<section class="claims" id="${section.id}">
              <h2>${section.title}</h2>
              <ul class="claim-list">
                ${section.rows.map(claimItem)}
              </ul>
            </section>`,
        )}
      </div>
    </div>`;
  return framed(model, {
    path: '/security',
    title: 'Security',
    description: 'Every security claim with what proves it, when it was last seen, and how to check it yourself.',
    alternates: [
      { href: '/security.json', type: 'application/json', title: 'This page as JSON' },
      { href: '/security/atom.xml', type: 'application/atom+xml', title: 'Changes of state' },
    ],
    main,
  });
}
