// Somebody with passkeys, as their browser would call.
import { createSoftwareAuthenticator, type SoftwareAuthenticator } from '../../app/probes/software-authenticator.ts';
import { Person, type Reply, type SampleLink } from './house.ts';

type Body = Readonly<Record<string, unknown>>;

/** The body of what was done. Throws when it was refused. */
function done({ status, body }: Reply, what: string): Body {
  if (status < 200 || status >= 300) throw new Error(`${what} answered ${status}: ${JSON.stringify(body)}`);
  return body as Body;
}

export class Approver {
  readonly #base: string;
  readonly #device: SoftwareAuthenticator;
  /** Of the present sign-in. */
  readonly person: Person;

  protected constructor(base: string, device: SoftwareAuthenticator) {
    this.#base = base;
    this.#device = device;
    this.person = new Person(base);
  }

  /** Makes two passkeys with the link of a sample person, as approving asks for of whoever leads or operates. */
  static async enrol(tryoutUrl: string, link: SampleLink): Promise<Approver> {
    const base = tryoutUrl.replace(/\/$/, '');
    const made = new this(base, createSoftwareAuthenticator({ origin: base }));
    const token = link.enrolPath!.split('#')[1];
    const first = await made.post('/api/identity/enrolment/options', { token });
    const response = made.#device.register(first['options'] as never);
    await made.post('/api/identity/enrolment', { token, challengeId: first['challengeId'], response });
    await made.addPasskey();
    return made;
  }

  /** Another one on the same device. */
  async addPasskey(): Promise<void> {
    const { challengeId, options } = await this.post('/api/identity/passkey/options');
    await this.post('/api/identity/passkey', { challengeId, response: this.#device.register(options as never) });
  }

  /** The same person in a session of its own. */
  async again(): Promise<Approver> {
    const other = new Approver(this.#base, this.#device);
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
}
