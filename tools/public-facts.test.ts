// What everybody reads in the log for good, derived from the code that writes it.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PUBLIC_FACTS } from '../app/platform/audit/public-facts.ts';
import { findPublicFacts } from './reference/public-facts.ts';

const found = findPublicFacts(join(import.meta.dirname, '..'));

/** Facts that a function is handed or makes: what they are called, read by a person. */
const HANDED_ON: Readonly<Record<string, readonly string[]>> = {
  'app/domains/audit-trail/reading.ts: body.public': [], // shows facts, writes none
  'app/platform/audit/ocsf.ts: facts': [], // the same
  'app/platform/audit/leaf.ts: input.public': [], // where all of them pass and are looked at
  'app/platform/audit/record.ts: input.public': [], // the same, once more without the approval
  'app/platform/audit/attempts.ts: input.public': [], // of an entry that was looked at already
  'app/domains/keys/source-service.ts: event.facts': [
    'kind',
    'ok',
    'code',
    'provider',
    'assurance',
    'fingerprint',
    'kekRef',
    'keyArn',
    'validTo',
    'from',
    'to',
  ],
  'app/domains/provisioning/directory.ts: facts': ['member', 'people'],
  'app/domains/provisioning/tokens.ts: facts': ['connection', 'member', 'validTo'],
  'app/domains/signal-receiver/keeping.ts: facts': ['type', 'code', 'count', 'member', 'outcome', 'since'],
  'app/domains/signal-receiver/setup.ts: facts': ['way', 'state', 'outcome', 'member'],
  'app/domains/tenants/deletion-run.ts: Object.fromEntries( keys .slice(-COMMITMENTS_IN_ENTRY_MAX) .map(({ purpose, version, commitment }) => [`commitment_${purpose}_${version}`, commitment]), )':
    [], // the number of a key and a hash
  'app/domains/tenants/deletion.ts: await inventoryOf(deps, subject, who.requestId)': [
    'engagements',
    'evidence',
    'objectBytes',
    'dataKeys',
    'keyEncryptionKeys',
    'people',
    'openSessions',
  ],
  'app/domains/tenants/move-run.ts: step.facts': ['code', 'rows', 'files', 'frozenMs', 'proofSha256'],
  'app/domains/tenants/move-run.ts: moveFacts( subject, { kind: row.from_kind, region: row.from_region }, { kind: row.to_kind, region: row.to_region }, )':
    ['tenant', 'slug', 'from', 'to'],
  'app/platform/audit/key-changes.ts: await deps.signer.offerKey(origin, deps.overlap)': [
    'handover',
    'newKey',
    'oldKey',
    'overlap',
  ],
  'app/platform/audit/key-changes.ts: await signer.offerKey(origin, OVERLAP_ENTRIES)': [], // the same
  'app/probes/errands.ts: facts': ['since'],
  'app/probes/heartbeats.ts: facts': ['cell', 'reason'],
};

/** Words that say who somebody is, where they are, or what they wrote. */
const PERSONAL_NAME =
  /^(.*[eE]?[mM]ail|.*[nN]ame|.*[lL]abel|.*[tT]itle|note|notes|comment|text|body|.*[pP]hone|.*[aA]ddress|ip|.*[hH]ost|client|sentence|answer|response|agent)$/;

/** Withheld as old and new values, and one word of an enumeration in public as well. */
const BOTH = new Set(['role', 'prompt', 'reason']);

describe('public facts', () => {
  it('are each declared with what they may be, and no declared one is written by nobody', () => {
    expect(found.names.size).toBeGreaterThan(60);
    const handedOn = Object.values(HANDED_ON).flat();
    const written = new Set([...found.names.keys(), ...handedOn]);
    expect([...written].filter((name) => !(name in PUBLIC_FACTS))).toEqual([]);
    expect(Object.keys(PUBLIC_FACTS).filter((name) => !written.has(name))).toEqual([]);
  });

  it('come from nowhere that nobody has read', () => {
    expect([...found.unread].sort()).toEqual(Object.keys(HANDED_ON).sort());
  });

  it('carry no name, address or text of a person, and nothing that is withheld elsewhere', () => {
    const names = Object.keys(PUBLIC_FACTS);
    expect(names.filter((name) => PERSONAL_NAME.test(name))).toEqual([]);
    expect([...found.withheld]).toEqual(expect.arrayContaining(['clientName', 'fileName', 'label', 'title']));
    expect(names.filter((name) => found.withheld.has(name) && !BOTH.has(name))).toEqual([]);
  });
});
