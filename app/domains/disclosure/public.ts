import { framed, html, jsonFile } from '../trust/index.ts';
import type { PageModel, PublishedFile, RoomPages } from '../trust/index.ts';
import type { DisclosurePolicy } from './policy.ts';
import { securityTxt } from './security-txt.ts';

function dollars(amount: number): string {
  return `US$ ${amount.toLocaleString('en-US')}`;
}

function policyMain(policy: DisclosurePolicy, model: PageModel) {
  const { organisation } = model.conditions;
  const list = (items: readonly string[]) =>
    html`<ul class="plain">
      ${items.map((text) => html`<li>${text}</li>`)}
    </ul>`;
  return html`<p class="crumbs"><a href="/security">Security</a> / Report a vulnerability</p>
    <h1>Report a vulnerability</h1>
    <p class="lead">
      Write to <a href="${`mailto:${organisation.securityMailbox}`}">${organisation.securityMailbox}</a>. Say what you
      did, what you saw, and what somebody could do with it.
    </p>
    <ul class="formats">
      <li><a href="/disclosure.json">JSON</a></li>
      <li><a href="/.well-known/security.txt">security.txt</a></li>
    </ul>
    ${
      organisation.openPgpFingerprint === undefined
        ? html`<section class="block" aria-label="Encrypted reports">
            <div class="notice notice--info">
              <p><b>No encrypted reports here</b></p>
              <p>No OpenPGP key is on file for this installation, so a report cannot be encrypted yet.</p>
            </div>
          </section>`
        : html`<p>OpenPGP key: <span class="hash">${organisation.openPgpFingerprint}</span></p>`
    }
    <section class="block">
      <h2>What we undertake</h2>
      ${list(policy.undertakings.map((one) => one.text))}
    </section>
    <section class="block">
      <h2>What we ask of you</h2>
      ${list(policy.conditions.map((one) => one.text))}
    </section>
    <section class="block">
      <h2>What we pay</h2>
      <div class="table-box" tabindex="0" role="region" aria-label="Rewards">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Severity</th>
              <th scope="col">From</th>
              <th scope="col">To</th>
              <th scope="col">For example</th>
            </tr>
          </thead>
          <tbody>
            ${policy.rewards.map(
              (one) =>
                html`<tr>
                  <th scope="row">${one.severity}</th>
                  <td class="num">${dollars(one.usdMin)}</td>
                  <td class="num">${dollars(one.usdMax)}</td>
                  <td>${one.example}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </section>
    <section class="block">
      <h2>In scope</h2>
      ${list(policy.inScope)}
    </section>
    <section class="block">
      <h2>Out of scope</h2>
      ${list(policy.outOfScope)}
    </section>
    <p class="meta">Policy version ${policy.version}, published on ${policy.publishedOn}</p>`;
}

function textFiles(model: PageModel): PublishedFile[] {
  const { organisation, origin } = model.conditions;
  const content = securityTxt({
    origin,
    securityMailbox: organisation.securityMailbox,
    now_ms: model.generatedAt_ms,
    ...(organisation.openPgpFingerprint === undefined ? {} : { openPgpFingerprint: organisation.openPgpFingerprint }),
  });
  return ['/.well-known/security.txt', '/security.txt'].map((path) => ({
    path,
    mediaType: 'text/plain; charset=utf-8',
    content,
  }));
}

/** `/disclosure`, its JSON, and security.txt in both places, from one policy. */
export function disclosureFiles(policy: DisclosurePolicy): RoomPages {
  return (model) => [
    {
      path: '/disclosure',
      mediaType: 'text/html; charset=utf-8',
      content: framed(model, {
        path: '/disclosure',
        title: 'Report a vulnerability',
        description: 'How to report a fault, what we undertake, and what we pay.',
        alternates: [{ href: '/disclosure.json', type: 'application/json', title: 'The policy as JSON' }],
        main: policyMain(policy, model),
      }),
    },
    jsonFile('/disclosure.json', {
      format: 'auditrax-disclosure-policy/1',
      version: policy.version,
      published_on: policy.publishedOn,
      contact: `mailto:${model.conditions.organisation.securityMailbox}`,
      openpgp_fingerprint: model.conditions.organisation.openPgpFingerprint ?? null,
      disclosure_days_default: policy.disclosureDaysDefault,
      undertakings: policy.undertakings.map((one) => ({ ...one })),
      conditions: policy.conditions.map((one) => ({ ...one })),
      rewards: policy.rewards.map((one) => ({
        severity: one.severity,
        usd_min: one.usdMin,
        usd_max: one.usdMax,
        example: one.example,
      })),
      in_scope: policy.inScope,
      out_of_scope: policy.outOfScope,
      revision: model.revision,
      valid_until: new Date(model.validUntil_ms).toISOString(),
    }),
    ...textFiles(model),
  ];
}
