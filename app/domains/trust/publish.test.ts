import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manualClock } from '@auditrax/base';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Observation, Standing } from '../../claims/grade.ts';
import { visibleText } from '../../claims/published-check.ts';
import { allClaims, probedClaims } from '../../claims/register.ts';
import { disclosureFiles, parsePolicy } from '../disclosure/index.ts';
import policy from '../disclosure/policy.sample.json' with { type: 'json' };
import {
  PUBLISHED_BYTES_MAX,
  PUBLISHED_FILES_MAX,
  publishedBody,
  publishedFile,
} from '../../platform/edge/published-contract.ts';
import { openPublishedPages } from '../../platform/edge/published.ts';
import { silentLog } from '../../platform/http/request-log.ts';
import { parseRegistry, vendorFiles } from '../vendors/index.ts';
import registry from '../vendors/registry.sample.json' with { type: 'json' };
import { buildPage, pageRows, STANDING_WORDS, VALIDITY_SECONDS } from './model.ts';
import { MANIFEST_PATH, renderRevision, SIGNATURE_PATH, signPublication, verifyPublished } from './publish.ts';
import type { Revision } from './publish.ts';
import { freshRuns, SAMPLE_NOW_MS, sampleConditions, sampleModel } from './testing/sample-model.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const rooms = [vendorFiles(parseRegistry(registry)), disclosureFiles(parsePolicy(policy))];

function revisionOf(observations?: readonly Observation[]): Revision {
  return renderRevision({ model: sampleModel(observations), rooms, pageKey: privateKey });
}

function fileOf(revision: Revision, path: string): string {
  const file = revision.files.find((one) => one.path === path);
  if (file === undefined) throw new Error(`no file ${path}`);
  return file.content;
}

const run = fc.record({
  probeId: fc.constantFrom(...probedClaims.map((claim) => claim.probe!)),
  observedAt_ms: fc.integer({ min: SAMPLE_NOW_MS - 20_000_000, max: SAMPLE_NOW_MS + 10_000 }),
  duration_ms: fc.nat(5000),
  state: fc.constantFrom('green' as const, 'red' as const),
  detail: fc.string({ minLength: 1, maxLength: 40 }).filter((text) => text.isWellFormed()),
  measured: fc.record({
    value: fc.integer({ min: 0, max: 200 }),
    limit: fc.constant(90),
    unit: fc.constantFrom('days', 'seconds', 'minutes'),
  }),
});

interface ServedClaim {
  id: string;
  standing: Standing;
  state: string;
  observed_at: string | null;
}

/** Reads the HTML as a reader would: chips in the order of the page. */
function standingsOfHtml(page: string): Map<string, string> {
  const items = page.matchAll(
    /<li class="claim" id="([^"]+)">\s*<span class="grade grade--([a-z-]+)">(?:<span class="vh">[^<]*<\/span>)?([^<]*)<\/span>/g,
  );
  return new Map(
    [...items].map(([, id, kind, word]) => [
      id!,
      kind === 'asserted' && word !== 'asserted' ? 'without-document' : kind!,
    ]),
  );
}

describe('one model, every form', () => {
  it('T1: HTML, JSON and OSCAL agree on every claim, whatever was observed', () => {
    fc.assert(
      fc.property(fc.array(run, { maxLength: 30 }), (runs) => {
        const revision = revisionOf(runs);
        const json = JSON.parse(fileOf(revision, '/security.json')) as {
          claims: ServedClaim[];
          counts: Record<Standing, number>;
        };
        const html = standingsOfHtml(fileOf(revision, '/security'));
        const oscal = JSON.parse(fileOf(revision, '/security/oscal.json'))['assessment-results'].results[0];
        expect(json.claims).toHaveLength(81);
        for (const [at, claim] of json.claims.entries()) {
          expect([claim.id, html.get(claim.id)]).toEqual([claim.id, claim.standing]);
          const finding = oscal.findings[at];
          expect(finding.title).toBe(claim.id);
          expect(finding.target.status.state).toBe(
            claim.state === 'green' && claim.standing !== 'rehearsed' ? 'satisfied' : 'not-satisfied',
          );
          expect(finding.props.find((one: { name: string }) => one.name === 'standing').value).toBe(claim.standing);
          expect(JSON.parse(fileOf(revision, `/security/claims/${claim.id}.json`)).standing).toBe(claim.standing);
        }
        expect(Object.values(json.counts).reduce((sum, one) => sum + one, 0)).toBe(81);
        const served = [
          ...fileOf(revision, '/security').matchAll(/<b>(\d+)<\/b> <span class="grade[^"]*">([^<]+)</g),
        ].map(([, count, word]) => [word, Number(count)]);
        expect(served).toEqual(
          Object.entries(STANDING_WORDS).map(([standing, word]) => [word, json.counts[standing as Standing]]),
        );
      }),
      { numRuns: 15 },
    );
  });

  it('T2: the digest on the page is that of the JSON, by a canonicaliser of others', () => {
    const revision = revisionOf();
    const { digest, ...body } = JSON.parse(fileOf(revision, '/security.json'));
    expect(createHash('sha256').update(canonicalize(body)!).digest('hex')).toBe(digest);
    for (const path of ['/security', '/sub-processors', '/disclosure'])
      expect(fileOf(revision, path)).toContain(digest);
  });

  it('T3: the same input gives the same bytes', () => {
    expect(JSON.stringify(revisionOf())).toBe(JSON.stringify(revisionOf()));
  });

  it('T4: a fresh installation publishes no green claim', () => {
    const json = JSON.parse(fileOf(revisionOf([]), '/security.json')) as { claims: ServedClaim[] };
    expect(json.claims.filter((claim) => claim.state === 'green')).toEqual([]);
  });
});

describe('signed files', () => {
  const revision = revisionOf();
  const manifest = fileOf(revision, MANIFEST_PATH);
  const signature = fileOf(revision, SIGNATURE_PATH);

  it('T5: one byte changed in any file, in the manifest or in the signature is seen', () => {
    const check = (path: string, content: string, given = { manifest, signature }) =>
      verifyPublished({ ...given, pageKey: publicKey, path, content });
    for (const file of revision.files.filter((one) => one.path !== MANIFEST_PATH && one.path !== SIGNATURE_PATH)) {
      expect(check(file.path, file.content), file.path).toBe('ok');
      expect(check(file.path, `${file.content} `), file.path).toBe('altered');
    }
    const page = fileOf(revision, '/security');
    expect(check('/security', page, { manifest: manifest.replace('"revision":42', '"revision":43'), signature })).toBe(
      'bad-signature',
    );
    expect(
      check('/security', page, { manifest, signature: `${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}` }),
    ).toBe('bad-signature');
    expect(check('/nowhere', page)).toBe('not-listed');
    expect(
      verifyPublished({
        manifest,
        signature,
        pageKey: generateKeyPairSync('ed25519').publicKey,
        path: '/security',
        content: page,
      }),
    ).toBe('bad-signature');
  });

  it('T6: openssl accepts the signature over the served bytes, and refuses it over others', (ctx) => {
    try {
      execFileSync('openssl', ['version']);
    } catch {
      if (process.env['CI'] === 'true') throw new Error('openssl is missing');
      return ctx.skip('openssl is not installed');
    }
    const folder = mkdtempSync(join(tmpdir(), 'page-key-'));
    try {
      const at = (name: string, content: string | Uint8Array) => {
        writeFileSync(join(folder, name), content);
        return join(folder, name);
      };
      const key = at('page-key.pem', createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }) as string);
      const verified = (text: string) => {
        try {
          execFileSync(
            'openssl',
            [
              'pkeyutl',
              '-verify',
              '-pubin',
              '-inkey',
              key,
              '-rawin',
              '-in',
              at('manifest.json', text),
              '-sigfile',
              at('manifest.sig', Buffer.from(signature, 'base64url')),
            ],
            { stdio: 'pipe' },
          );
          return true;
        } catch {
          return false;
        }
      };
      expect([verified(manifest), verified(manifest.replace('42', '43'))]).toEqual([true, false]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('T7: only Ed25519 signs pages, and no two files share a path', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    expect(() => renderRevision({ model: sampleModel(), rooms, pageKey: rsa })).toThrow(/Ed25519/);
    expect(() => renderRevision({ model: sampleModel(), rooms: [...rooms, rooms[0]!], pageKey: privateKey })).toThrow(
      /one path/,
    );
  });
});

describe('the public pages', () => {
  const revision = revisionOf();
  const pages = revision.files.filter((file) => file.mediaType.startsWith('text/html'));

  it('T8: carry no script, no style, no inline handler and no foreign address', () => {
    expect(pages).toHaveLength(81 + 3);
    for (const page of pages) {
      expect(page.content, page.path).not.toMatch(/<script|<style|\sstyle=|\son[a-z]+=|<form|<iframe|javascript:/i);
      for (const [, link] of page.content.matchAll(/(?:href|src)="([^"]*)"/g))
        expect(link, page.path).toMatch(/^(?:\/|#|mailto:)/);
      expect(page.content.match(/<p class="validity">/g), page.path).toHaveLength(1);
    }
  });

  it('T9: link to nothing that is not published (the app and its stylesheet aside)', () => {
    const paths = new Set(revision.files.map((file) => file.path));
    for (const page of pages) {
      const ids = new Set([...page.content.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id));
      for (const [, link] of page.content.matchAll(/href="([^"]*)"/g)) {
        if (link!.startsWith('mailto:') || link!.startsWith('/app/')) continue;
        const [path, fragment] = link!.split('#');
        if (path === '') expect(ids.has(fragment), `${page.path} ${link}`).toBe(true);
        else expect(paths.has(path!), `${page.path} ${link}`).toBe(true);
      }
      const all = [...page.content.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id);
      expect(new Set(all).size, page.path).toBe(all.length);
    }
  });

  it('T10: every sentence and every exception stands on the page, and a claim’s page names its enforcers', () => {
    const text = fileOf(revision, '/security');
    for (const claim of allClaims) {
      for (const words of [claim.sentence, ...(claim.exceptions ?? [])])
        expect(text.includes(words.replaceAll('&', '&amp;')), claim.id).toBe(true);
      const own = fileOf(revision, `/security/claims/${claim.id}`);
      for (const one of claim.enforcers) expect(own).toContain(one.file);
    }
  });

  it('T11: a hostile detail from a probe stays text', () => {
    const hostile = freshRuns().map((one) => ({
      ...one,
      state: 'red' as const,
      detail: '</p><script>alert(1)</script>',
      evidence: { x: '<img src=x onerror=1>' },
    }));
    for (const file of revisionOf(hostile).files.filter((one) => /html|atom/.test(one.mediaType)))
      expect(file.content, file.path).not.toMatch(/<script|<img src=x/);
  });

  it('T13: every file fits what the gateway takes, with a long history as well', () => {
    const runs = freshRuns().flatMap((one) =>
      Array.from({ length: 60 }, (_, n) => ({
        ...one,
        observedAt_ms: one.observedAt_ms - n * 60_000,
        detail: 'x'.repeat(500),
        evidence: { seen: 'y'.repeat(2000) },
      })),
    );
    const long = revisionOf(runs);
    for (const file of long.files) expect(publishedFile.safeParse(file).success, file.path).toBe(true);
    expect(long.files.length).toBeLessThanOrEqual(PUBLISHED_FILES_MAX);
    expect(JSON.stringify(long.files).length).toBeLessThan(PUBLISHED_BYTES_MAX / 2);
  });

  it('T14: the gateway takes the revision, serves it, and says by itself when its time is over', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'published-'));
    const clock = manualClock(SAMPLE_NOW_MS);
    try {
      const edge = openPublishedPages({ folder, signingKey: publicKey, clock, log: silentLog });
      const publication = publishedBody.parse(signPublication(revision, privateKey));
      const text = (path: string) => edge.lookup(path)!.asset.bytes.toString('utf8');
      const altered = {
        ...publication,
        files: publication.files.map((file, at) => (at === 0 ? { ...file, content: `${file.content} ` } : file)),
      };
      await expect(edge.replace(altered)).rejects.toThrow(/signature/);
      await edge.replace(publication);
      expect(text('/security')).toBe(fileOf(revision, '/security'));
      clock.advance(VALIDITY_SECONDS * 1000);
      for (const page of pages) expect(text(page.path), page.path).toContain('Out of date');
      expect(JSON.parse(text('/security.json')).state).toBe('stale');
      expect(text(MANIFEST_PATH)).toBe(fileOf(revision, MANIFEST_PATH));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('T15: what has been measured so far stands beside its claim in every form, and changes no state', () => {
    const id = 'people.revocation';
    const table = sampleConditions.tables[id]!;
    for (const runs of [freshRuns(), []]) {
      const told = revisionOf(runs);
      const bare = buildPage({
        claims: allClaims,
        observations: runs,
        conditions: { ...sampleConditions, tables: {} },
        now_ms: SAMPLE_NOW_MS,
        revision: 42,
      });
      const json = JSON.parse(fileOf(told, `/security/claims/${id}.json`));
      expect(json.measured_so_far).toEqual(table);
      expect(json.standing).toBe(pageRows(bare).find((row) => row.claim.id === id)!.graded.standing);
      const all = JSON.parse(fileOf(told, '/security.json')) as { claims: { id: string; measured_so_far?: unknown }[] };
      expect(all.claims.filter((one) => one.measured_so_far !== undefined).map((one) => one.id)).toEqual([id]);
      expect(visibleText(fileOf(told, '/security'))).toContain(table.summary);
      const own = visibleText(fileOf(told, `/security/claims/${id}`));
      const words = table.rows.flatMap(({ name, cells }) => [name, ...cells]);
      expect(own).toContain([table.caption, ...table.columns, ...words].join(' '));
      expect(own).toContain(table.summary);
    }
  });

  it('T15: what a claim lacks is said as long as it lacks it, and no longer', () => {
    const { id, assertedBecause } = allClaims.find((one) => one.id === 'people.revocation')!;
    for (const [runs, missing] of [
      [[], assertedBecause],
      [freshRuns(), undefined],
    ] as const) {
      const told = revisionOf(runs);
      expect(JSON.parse(fileOf(told, `/security/claims/${id}.json`)).asserted_because).toBe(missing);
      expect(visibleText(fileOf(told, `/security/claims/${id}`)).includes(assertedBecause!)).toBe(
        missing !== undefined,
      );
    }
  });

  it('T12: a certificate whose target date has passed says overdue', () => {
    expect(fileOf(revision, '/security')).toMatch(/id="cert\.iso42001">\s*<span class="[^"]*">overdue</);
    expect(pageRows(sampleModel()).find((row) => row.claim.id === 'cert.iso42001')!.graded.inProgress).toEqual({
      targetDate: '2026-09-30',
      overdue: true,
    });
  });
});
