// There is no AI in this build: what is tested is that a prompt could not leave before its entry, whoever sends it.
import { AppError, systemClock, systemRandom, uuidV4 } from '@auditrax/base';
import type { ScopedTransaction, TenantDoor } from '@auditrax/tenancy';
import { describe, expect, it } from 'vitest';
import { ReleasedPrompt, releasePrompt, responseReceived, suggestionDecided, type AiEntryDeps } from './ai-entries.ts';
import { buildLeaf, readLeafBody, type AuditInput } from './leaf.ts';

const tenantId = uuidV4(systemRandom);
const context = { tenantId, tenantPart: 1, requestId: 'r' };
const about = { actor: { personId: tenantId }, resource: ['result', tenantId], requestId: 'r' } as const;
const model = { provider: 'p', model: 'm', version: '1' };

/** A door and a ledger that note in which order they were asked. */
function house(fault?: 'entry' | 'receipt') {
  const order: string[] = [];
  const entries: AuditInput[] = [];
  const entryId = uuidV4(systemRandom);
  let receipt: () => void = () => undefined;
  const deps: AiEntryDeps = {
    door: {
      transaction: async <T>(_context: unknown, work: (tx: ScopedTransaction) => Promise<T>) => {
        const result = await work({} as ScopedTransaction);
        order.push('committed');
        return result;
      },
    } as unknown as TenantDoor,
    recordAudit: async (_tx, input) => {
      if (fault === 'entry') throw new AppError('audit_log_down', 'the log is away');
      entries.push(input);
      order.push('entry');
      return { entryId };
    },
    ledger: {
      receipt: async () => {
        if (fault === 'receipt') throw new AppError('audit_receipt_timeout', 'no receipt');
        await new Promise<void>((resolve) => (receipt = resolve));
        order.push('receipt');
        return { index: 7 } as never;
      },
    },
  };
  return { deps, order, entries, entryId, giveReceipt: () => receipt() };
}

describe('A20: what is asked of AI', () => {
  it('is not released before its entry is committed, in its place and signed', async () => {
    const { deps, order, entryId, giveReceipt } = house();
    const sent: string[] = [];
    const sending = releasePrompt(deps, context, { about, model, prompt: 'what is missing?' }).then((prompt) => {
      sent.push(prompt.text);
      return prompt;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(order).toEqual(['entry', 'committed']);
    expect(sent).toEqual([]);
    giveReceipt();
    expect(await sending).toMatchObject({ text: 'what is missing?', entryId, index: 7 });
    expect(order).toEqual(['entry', 'committed', 'receipt']);
  });

  it.each(['entry', 'receipt'] as const)('is never released when there is no %s', async (fault) => {
    const { deps } = house(fault);
    await expect(releasePrompt(deps, context, { about, model, prompt: 'x' })).rejects.toBeInstanceOf(AppError);
  });

  it('has no other way out: nothing that looks like a released prompt is one', () => {
    const facts = { text: 'x', entryId: tenantId, index: 1 };
    expect(() => new ReleasedPrompt(Symbol('release'), facts)).toThrow(TypeError);
    expect(ReleasedPrompt.isReleased({ ...facts })).toBe(false);
    expect(ReleasedPrompt.isReleased(Object.create(ReleasedPrompt.prototype))).toBe(false);
  });

  it('is in the leaf by model, version and provider alone; texts only as digests, with the salt of every withheld value', async () => {
    const { deps, entries, giveReceipt } = house();
    const releasing = releasePrompt(deps, context, { about, model, prompt: 'secret question' });
    await new Promise((resolve) => setTimeout(resolve, 5));
    giveReceipt();
    const prompt = await releasing;
    const given = { about, model, suggestion: 'secret suggestion', final: 'secret final', reason: 'secret reason' };
    const inputs = [
      ...entries,
      responseReceived(prompt, { about, model, response: 'secret answer' }),
      responseReceived(prompt, { about, model, response: null }),
      suggestionDecided(prompt, given),
      suggestionDecided(prompt, { ...given, final: given.suggestion }),
    ];
    const leaves = inputs.map((input) => buildLeaf(input, { clock: systemClock, random: systemRandom }).leaf);
    expect(leaves.map((leaf) => readLeafBody(leaf).type)).toEqual([
      'ai.prompt.submitted',
      'ai.response.received',
      'ai.response.received',
      'ai.suggestion.overridden',
      'ai.suggestion.accepted',
    ]);
    expect(leaves.map((leaf) => readLeafBody(leaf).outcome)).toEqual([
      'allowed',
      'allowed',
      'failed',
      'allowed',
      'allowed',
    ]);
    for (const leaf of leaves) {
      expect(leaf.toString()).not.toContain('secret');
      expect(readLeafBody(leaf).public).toMatchObject(model);
    }
  });

  it('longer than a withheld value may be is withheld by its hash', async () => {
    const { deps, entries, giveReceipt } = house();
    const releasing = releasePrompt(deps, context, { about, model, prompt: 'x'.repeat(70_000) });
    await new Promise((resolve) => setTimeout(resolve, 5));
    giveReceipt();
    await releasing;
    expect(Object.keys(entries[0]!.disclosures!)).toEqual(['promptSha256']);
  });
});
