// Operators with passkeys, as their browsers would call; into the house they get as everybody does: they ask.
import type { ProductionScope } from '@auditrax/base';
import { createSoftwareAuthenticator, type SoftwareAuthenticator } from '../../app/probes/software-authenticator.ts';
import { Person, type Reply, type SampleLink } from './house.ts';

type Body = Readonly<Record<string, unknown>>;

/** The body of what was done. Throws when it was refused. */
function done({ status, body }: Reply, what: string): Body {
  if (status < 200 || status >= 300) throw new Error(`${what} answered ${status}: ${JSON.stringify(body)}`);
  return body as Body;
}

export class Operator {
  readonly #base: string;
  readonly #device: SoftwareAuthenticator;
  /** Of the present sign-in. */
  readonly person: Person;

  private constructor(base: string, device: SoftwareAuthenticator) {
    this.#base = base;
    this.#device = device;
    this.person = new Person(base);
  }

  /** Makes two passkeys with the link of a sample operator, as approving asks for. */
  static async enrol(tryoutUrl: string, link: SampleLink): Promise<Operator> {
    const base = tryoutUrl.replace(/\/$/, '');
    const operator = new Operator(base, createSoftwareAuthenticator({ origin: base }));
    const token = link.enrolPath!.split('#')[1];
    const first = await operator.post('/api/identity/enrolment/options', { token });
    const made = operator.#device.register(first['options'] as never);
    await operator.post('/api/identity/enrolment', { token, challengeId: first['challengeId'], response: made });
    const second = await operator.post('/api/identity/passkey/options');
    const further = operator.#device.register(second['options'] as never);
    await operator.post('/api/identity/passkey', { challengeId: second['challengeId'], response: further });
    return operator;
  }

  /** The same person in a session of its own. */
  async again(): Promise<Operator> {
    const other = new Operator(this.#base, this.#device);
    const { challengeId, options } = await other.post('/api/identity/passkey/sign-in/options');
    const response = this.#device.authenticate(options as never);
    await other.post('/api/identity/passkey/sign-in', { challengeId, response });
    return other;
  }

  async get(path: string): Promise<Body> {
    return done(await this.person.send('GET', path), path);
  }

  async post(path: string, body?: unknown): Promise<Body> {
    return done(await this.person.send('POST', path, body), path);
  }

  /** With a passkey, as the screens ask for one; `input` is the body and what stands in the path. */
  async approve(
    path: string,
    operation: string,
    { input, body }: { readonly input: Body; readonly body?: Body },
  ): Promise<Body> {
    const { challengeId, options } = await this.post('/api/access/step-up', { operation, input });
    const assertion = this.#device.authenticate(options as never);
    const stepUp = Buffer.from(JSON.stringify({ challengeId, assertion })).toString('base64url');
    return done(await this.person.sendApproved(path, stepUp, body), path);
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
