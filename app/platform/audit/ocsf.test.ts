import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { manualClock, systemRandom, uuidV4 } from '@auditrax/base';
import { leafHash } from '@auditrax/tlog';
import { describe, expect, it } from 'vitest';
import { buildLeaf, readLeafBody, type AuditInput } from './leaf.ts';
import { OCSF_VERSION, toOcsf, type OcsfPlace } from './ocsf.ts';

const id = uuidV4(systemRandom);
const deps = { clock: manualClock(1_800_000_000_000), random: systemRandom };
const base: AuditInput = {
  type: 'engagement.created',
  actor: { personId: id, sessionId: id },
  resource: ['engagement', id],
  outcome: 'allowed',
  requestId: 'r-1',
};
const leafOf = (more: Partial<AuditInput>) => buildLeaf({ ...base, ...more }, deps).leaf;
const eventOf = (more: Partial<AuditInput>) => toOcsf(leafOf(more), null);

/** From the schema's own files: highest activity and required attributes of each class used (beside those of the base event). */
const CLASSES: Readonly<Record<number, { activities: number; required: readonly string[]; oneOf: readonly string[] }>> =
  {
    3002: { activities: 7, required: ['user'], oneOf: ['service', 'dst_endpoint'] },
    3003: { activities: 3, required: ['user'], oneOf: ['privileges', 'groups', 'iam_roles'] },
    3004: { activities: 13, required: ['entity'], oneOf: [] },
    3006: { activities: 13, required: ['group'], oneOf: [] },
    3007: { activities: 19, required: ['user'], oneOf: [] },
    3008: { activities: 11, required: ['iam_role'], oneOf: [] },
    6003: { activities: 4, required: ['actor', 'api', 'src_endpoint'], oneOf: [] },
    6005: { activities: 10, required: ['actor', 'src_endpoint'], oneOf: ['database', 'databucket', 'table'] },
  };
const REQUIRED = ['activity_id', 'category_uid', 'class_uid', 'metadata', 'severity_id', 'time', 'type_uid'];

/** Every type that the code writes, from the generated reference (compared with the code by the check). */
const types = [
  ...readFileSync(join(import.meta.dirname, '../../../docs/reference/audit-actions.md'), 'utf8')
    .split('## What the routes')[0]!
    .matchAll(/^\| `([^`]+)`/gm),
].map((match) => match[1]!);

describe('A15: OCSF events', () => {
  it('have everything that their class demands, for every type that the code writes, and no deprecated class', () => {
    expect(types.length).toBeGreaterThan(60);
    for (const type of types) {
      for (const actor of [base.actor, { service: 'workspace' } as const]) {
        const event = eventOf({ type, actor });
        const rules = CLASSES[event['class_uid'] as number];
        expect(rules, `${type} has a class that is checked`).toBeDefined();
        for (const name of [...REQUIRED, ...rules!.required]) expect(event, `${type}: ${name}`).toHaveProperty(name);
        if (rules!.oneOf.length > 0)
          expect(
            rules!.oneOf.some((name) => name in event),
            type,
          ).toBe(true);
        const activity = event['activity_id'] as number;
        expect(activity === 99 || (activity >= 1 && activity <= rules!.activities), `${type}: ${activity}`).toBe(true);
        expect(event['type_uid']).toBe((event['class_uid'] as number) * 100 + activity);
        expect(event['category_uid']).toBe(Math.floor((event['class_uid'] as number) / 1000));
      }
    }
  });

  it.each([
    ['session.opened', 300201],
    ['step-up.refused', 300301],
    ['engagement.created', 300401],
    ['office.person-placed', 300603],
    ['member.role-changed', 300716],
    ['engagement.contact-assigned', 300806],
    ['audit-trail.exported', 600302],
    ['audit-trail.disclosures.opened', 600510],
    ['ai.suggestion.overridden', 600303],
    ['nobody.thought-of-it', 600399],
  ])('%s is %i', (type, typeUid) => expect(eventOf({ type })['type_uid']).toBe(typeUid));

  it('say nothing that the leaf withholds, and lose nothing that it says', () => {
    const leaf = leafOf({ disclosures: { email: 'somebody@example.org' }, public: { count: 3 } });
    const text = JSON.stringify(toOcsf(leaf, null));
    expect(text).not.toContain('example.org');
    const event = JSON.parse(text) as { raw_data: string; unmapped: { public: unknown; withheld_digests: string[] } };
    expect(event.raw_data).toBe(leaf.toString());
    expect(event.unmapped.public).toEqual({ count: 3 });
    expect(event.unmapped.withheld_digests).toEqual(readLeafBody(leaf)._sd);
  });

  it('name the leaf hash and the place in the log once there is one', () => {
    const leaf = leafOf({ outcome: 'denied' });
    const place: OcsfPlace = { tenantId: id, origin: 'h/log/x/1', index: 7, leafHash: leafHash(leaf) };
    expect(toOcsf(leaf, place)).toMatchObject({
      status_id: 2,
      metadata: { version: OCSF_VERSION, sequence: 7, tenant_uid: id, profiles: ['record_integrity'] },
      attestation_list: [
        { chain_uid: 'h/log/x/1', fingerprint: { value: Buffer.from(place.leafHash).toString('hex') } },
      ],
    });
    expect(toOcsf(leaf, place)).toEqual(toOcsf(leaf, place));
    expect(eventOf({})).not.toHaveProperty('attestation_list');
  });

  it('name the agent that called for a person as the application, beside the person', () => {
    const agents = [uuidV4(systemRandom), uuidV4(systemRandom)];
    const { actor } = eventOf({ type: 'access.operation.refused', actor: { personId: id, sessionId: id, agents } });
    expect(actor).toMatchObject({ user: { uid: id }, session: { uid: id }, app_uid: agents[1] });
    expect(eventOf({ type: 'access.operation.refused' })['actor']).not.toHaveProperty('app_uid');
  });

  it('carry the profile ai_operation for AI entries: model, version, provider', () => {
    const facts = { model: 'm', version: '1', provider: 'p' };
    expect(eventOf({ type: 'ai.prompt.submitted', public: facts })).toMatchObject({
      metadata: { profiles: ['ai_operation'] },
      ai_model: { ai_provider: 'p', name: 'm', version: '1' },
    });
  });

  it.each(['', 'null', '[]', '{"v":2}', '{"v":1,"type":"a.b"}', '\xff'])(
    'bytes that are no leaf are refused: %s',
    (text) => {
      expect(() => toOcsf(Buffer.from(text, 'latin1'), null)).toThrowError(
        expect.objectContaining({ code: 'audit_input_invalid' }),
      );
    },
  );
});
