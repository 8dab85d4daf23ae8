// Operators, as their browsers would call; into the house they get as everybody does: they ask.
import type { ProductionScope } from '@auditrax/base';
import { Approver } from './approver.ts';
import type { SampleLink } from './house.ts';

export class Operator extends Approver {
  static override enrol(tryoutUrl: string, link: SampleLink): Promise<Operator> {
    return super.enrol(tryoutUrl, link) as Promise<Operator>;
  }

  /** Asks for production access; where another operator has to let them in, `by` does. */
  async letIn(scopes: readonly ProductionScope[], by?: Operator): Promise<void> {
    const input = { reason: 'A journey of the tests', ticket: null, scopes, minutes: 60 };
    const asked = await this.approve('/api/production-access', 'production-access.ask', { input, body: input });
    const { id, state } = asked['grant'] as { id: string; state: string };
    if (state === 'live') return;
    if (by === undefined) throw new Error('another operator has to let them in');
    await by.approve(`/api/production-access/${id}/confirm`, 'production-access.confirm', { input: { grantId: id } });
  }
}
