import { uuidV4, systemRandom, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, Statement } from '@auditrax/tenancy';
import { describe, expect, it } from 'vitest';
import { noteApproval } from '../http/approvals.ts';
import type { AuditInput } from './leaf.ts';
import { createRecorder, type RecorderDeps } from './record.ts';

const tenantId = uuidV4(systemRandom);
const person = uuidV4(systemRandom);
const somebody = uuidV4(systemRandom);

/** Keeps what a transaction is asked to write. */
function transaction() {
  const written: Statement[] = [];
  const write = async (statement: Statement) => {
    written.push(statement);
    return [];
  };
  const context = { tenantId, tenantPart: 1, requestId: 'r' };
  const leaf = () =>
    written
      .flatMap(({ parameters }) => (parameters ?? []).filter((value) => value instanceof Uint8Array))
      .map(String)
      .find((text) => text.startsWith('{"'));
  return { tx: { context, query: write, defer: write } as unknown as ScopedTransaction, written, leaf };
}

const entry = (more: Partial<AuditInput> = {}): AuditInput => ({
  type: 'member.suspended',
  actor: { personId: person },
  resource: ['member', somebody],
  outcome: 'allowed',
  requestId: 'r',
  stepUpHash: 'hash-of-the-answer',
  ...more,
});

const away = Object.assign(new Error('the key store is away'), { code: 'kek_unavailable' });
const sealing = (sealed: { value: string; subject?: Uuid }[], fault?: Error): RecorderDeps => ({
  needsApprovals: true,
  isSealFault: (error) => error === away,
  sealer: {
    seal: async ({ value }) => {
      if (fault !== undefined) throw fault;
      sealed.push({ value });
      return Buffer.from(value);
    },
  },
  subjects: {
    seal: async (_tx, { subject, text }) => {
      sealed.push({ value: text, subject });
      return 'under-the-key-of-the-person';
    },
  },
});

const named = (text: string) => (JSON.parse(Buffer.from(text, 'base64url').toString()) as string[]).slice(1);

describe('the approval of an entry', () => {
  it('is sealed with the entry that names it, and its digest stands in the leaf', async () => {
    noteApproval('hash-of-the-answer', { text: '{"what":"was approved"}', about: null }, Date.now());
    const sealed: { value: string }[] = [];
    const { tx, written, leaf } = transaction();
    await createRecorder(sealing(sealed))(tx, entry());
    expect(sealed.map(({ value }) => named(value))).toEqual([['approval', '{"what":"was approved"}']]);
    expect(written).toHaveLength(2);
    expect(leaf()).toContain('"_sd"');
  });

  it('about a person is under their key, whether the entry or the approval says so', async () => {
    for (const [about, more] of [
      [somebody, {}],
      [null, { personal: { subject: somebody, values: {} } }],
    ] as const) {
      noteApproval('hash-of-the-answer', { text: 'names them', about }, Date.now());
      const sealed: { value: string; subject?: Uuid }[] = [];
      await createRecorder(sealing(sealed))(transaction().tx, entry(more));
      expect(sealed[0]).toMatchObject({ subject: somebody });
    }
  });

  it('cannot be sealed while the key store is away: the entry says so, and another failure stops it', async () => {
    noteApproval('hash-of-the-answer', { text: 'x', about: null }, Date.now());
    const { tx, written, leaf } = transaction();
    await createRecorder(sealing([], away))(tx, entry());
    expect(written).toHaveLength(1);
    expect(leaf()).toContain('"approvalKept":false');
    const broken = createRecorder(sealing([], new Error('broken')));
    await expect(broken(transaction().tx, entry())).rejects.toThrow('broken');
    const withholding = createRecorder(sealing([], away));
    await expect(withholding(transaction().tx, entry({ disclosures: { label: 'x' } }))).rejects.toThrow(away);
  });

  it('that nobody verified here refuses the entry', async () => {
    const unknown = createRecorder(sealing([]))(transaction().tx, entry({ stepUpHash: 'never-seen' }));
    await expect(unknown).rejects.toMatchObject({ code: 'audit_approval_missing' });
  });
});
