import { framed, html, jsonFile } from '../trust/index.ts';
import type { RoomPages } from '../trust/index.ts';
import type { SubProcessor, VendorRegistry } from './registry.ts';

function today(now_ms: number): string {
  return new Date(now_ms).toISOString().slice(0, 10);
}

/** Entries that may see customer data on the day of `now_ms`. */
export function inForce(registry: VendorRegistry, now_ms: number): SubProcessor[] {
  return registry.subProcessors.filter((one) => one.inForceFrom <= today(now_ms));
}

function table(caption: string, entries: readonly SubProcessor[]) {
  return html`<div class="table-box" tabindex="0" role="region" aria-label="${caption}">
    <table class="table">
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          <th scope="col">Company</th>
          <th scope="col">For</th>
          <th scope="col">What data it sees</th>
          <th scope="col">Region</th>
          <th scope="col">Attestations it names</th>
          <th scope="col">From</th>
        </tr>
      </thead>
      <tbody>
        ${entries.map(
          (one) =>
            html`<tr>
              <th scope="row">${one.name}</th>
              <td>${one.service}</td>
              <td>${one.data}</td>
              <td>${one.region}</td>
              <td>${one.attestations.join(', ')}</td>
              <td><time class="claim__time" datetime="${one.inForceFrom}">${one.inForceFrom}</time></td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** `/sub-processors` and its JSON, from one register. */
export function vendorFiles(registry: VendorRegistry): RoomPages {
  return (model) => {
    const now_ms = model.generatedAt_ms;
    const current = inForce(registry, now_ms);
    const announced = registry.subProcessors.filter((one) => !current.includes(one));
    const main = html`<p class="crumbs"><a href="/security">Security</a> / Sub-processors</p>
      <h1>Sub-processors</h1>
      <p class="lead">
        Companies that handle customer data on our behalf. A change is announced at least ${registry.noticeDays} days
        before it takes effect.
      </p>
      <ul class="formats">
        <li><a href="/sub-processors.json">JSON</a></li>
        <li><a href="/security/claims/vendor.registry">The claim</a></li>
      </ul>
      <section class="block">
        <h2>In force</h2>
        ${table(`${current.length} sub-processors, register version ${registry.version}`, current)}
      </section>
      <section class="block">
        <h2>Announced</h2>
        ${announced.length === 0 ? html`<p>No change is announced.</p>` : table('Not in force yet', announced)}
      </section>`;
    return [
      {
        path: '/sub-processors',
        mediaType: 'text/html; charset=utf-8',
        content: framed(model, {
          path: '/sub-processors',
          title: 'Sub-processors',
          description: 'Who handles customer data on our behalf, which data, where, and under which attestations.',
          alternates: [{ href: '/sub-processors.json', type: 'application/json', title: 'The register as JSON' }],
          main,
        }),
      },
      jsonFile('/sub-processors.json', {
        format: 'auditrax-sub-processors/1',
        version: registry.version,
        first_published_on: registry.firstPublishedOn,
        notice_days: registry.noticeDays,
        sub_processors: registry.subProcessors.map((one) => ({
          name: one.name,
          service: one.service,
          data: one.data,
          region: one.region,
          attestations: one.attestations,
          in_force_from: one.inForceFrom,
          announced_on: one.announcedOn,
          in_force: current.includes(one),
        })),
        revision: model.revision,
        valid_until: new Date(model.validUntil_ms).toISOString(),
      }),
    ];
  };
}
