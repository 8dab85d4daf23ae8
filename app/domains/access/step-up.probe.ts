import {
  PROBE_SECONDS_HOUR,
  type PasskeyPerson,
  type Probe,
  type ProbeHouse,
  type ProbeResponse,
} from '../../claims/probe.ts';
import { checks, verdict, type Checks } from '../../claims/verdict.ts';

/** A day before there was any house: an export of it is empty, which is told only after the confirmation was accepted. */
const EMPTY_DAY = '2020-01-01';
const OTHER_DAY = '2020-01-02';

/** A person with a passkey in a browser that keeps its cookie: each confirmation brings a new one. */
class Browser {
  readonly #house: ProbeHouse;
  readonly #person: PasskeyPerson;
  #cookie: string;

  constructor(house: ProbeHouse, person: PasskeyPerson) {
    this.#house = house;
    this.#person = person;
    this.#cookie = person.cookie;
  }

  async post(path: string, json: object | undefined, stepUp?: string): Promise<ProbeResponse> {
    const reply = await this.#house.fetch(path, {
      method: 'POST',
      cookie: this.#cookie,
      ...(json === undefined ? {} : { json: json as never }),
      ...(stepUp === undefined ? {} : { headers: { 'x-step-up': stepUp } }),
    });
    const renewed = /^__Host-auditrax=[A-Za-z0-9_-]{16,}/m.exec(reply.headers['set-cookie'] ?? '')?.[0];
    this.#cookie = renewed ?? this.#cookie;
    return reply;
  }

  /** The value of the `x-step-up` header that confirms exactly this. */
  async confirm(operation: string, input: object): Promise<string> {
    const begun = await this.post('/api/access/step-up', { operation, input });
    if (begun.status !== 200) throw Object.assign(new Error('no step-up'), { name: `step_up_${begun.status}` });
    const { challengeId, options } = begun.json() as { challengeId: string; options: never };
    const assertion = this.#person.authenticator.authenticate(options);
    return Buffer.from(JSON.stringify({ challengeId, assertion })).toString('base64url');
  }
}

interface Ground {
  readonly browser: Browser;
  readonly rolePath: string;
  readonly memberId: string;
  readonly done: Checks;
}

async function withoutConfirmation({ browser, rolePath, done }: Ground, engagementId: string): Promise<void> {
  const actions = [
    { name: 'Inviting', path: '/api/access/invitations', json: { label: 'Nobody', role: 'auditor' } },
    { name: 'Changing a role', path: rolePath, json: { role: 'auditor' } },
    { name: 'Exporting', path: '/api/audit-trail/export', json: { from: EMPTY_DAY, to: EMPTY_DAY } },
    { name: 'Finalising', path: `/api/engagements/${engagementId}/finalise`, json: { revision: 1 } },
  ];
  for (const { name, path, json } of actions) {
    const reply = await browser.post(path, json);
    done.expect(
      reply.status === 403 && reply.problem() === 'step_up_required',
      `${name} without a confirmation was answered ${reply.status}.`,
    );
  }
}

/** At the issuer: another input, another action, the right one, and the right one again. */
async function atTheIssuer({ browser, rolePath, memberId, done }: Ground): Promise<void> {
  const expectRefused = (reply: ProbeResponse, what: string): void => {
    done.expect(
      reply.status === 403 && reply.problem() === 'step_up_refused',
      `${what} was answered ${reply.status} ${reply.problem() ?? ''}.`,
    );
  };
  const keep = { memberId, role: 'auditor' };
  const swapped = await browser.confirm('access.change-role', keep);
  expectRefused(
    await browser.post(rolePath, { role: 'client' }, swapped),
    'A confirmation of one role, used for another,',
  );
  const other = await browser.confirm('audit-trail.export', { from: EMPTY_DAY, to: EMPTY_DAY });
  expectRefused(
    await browser.post('/api/access/invitations', { label: 'Nobody', role: 'auditor' }, other),
    'A confirmation of another action',
  );
  const right = await browser.confirm('access.change-role', keep);
  const done1 = await browser.post(rolePath, { role: 'auditor' }, right);
  done.expect(done1.status === 200, `The right confirmation was answered ${done1.status} ${done1.problem() ?? ''}.`);
  expectRefused(await browser.post(rolePath, { role: 'auditor' }, right), 'A confirmation used before');
}

/** A lead who has only one passkey reads, and approves nothing. */
async function withOnePasskey(browser: Browser, { memberId, done }: Pick<Ground, 'memberId' | 'done'>): Promise<void> {
  const input = { memberId, role: 'auditor' };
  const reply = await browser.post('/api/access/step-up', { operation: 'access.change-role', input });
  done.expect(
    reply.status === 409 && reply.problem() === 'second_passkey_needed',
    `A lead with one passkey was offered a confirmation (${reply.status} ${reply.problem() ?? ''}).`,
  );
}

/** A member of another organisation is nobody to confirm anything about. */
async function ofAnotherTenant(browser: Browser, { memberId, done }: Pick<Ground, 'memberId' | 'done'>): Promise<void> {
  const input = { memberId, role: 'auditor' };
  const reply = await browser.post('/api/access/step-up', { operation: 'access.change-role', input });
  done.expect(reply.status === 404, `A confirmation about another organisation’s member was answered ${reply.status}.`);
}

/** At the workspace, which verifies for itself. */
async function atTheWorkspace({ browser, done }: Ground): Promise<void> {
  const path = '/api/audit-trail/export';
  const swapped = await browser.confirm('audit-trail.export', { from: EMPTY_DAY, to: EMPTY_DAY });
  const other = await browser.post(path, { from: OTHER_DAY, to: OTHER_DAY }, swapped);
  done.expect(
    other.problem() === 'step_up_refused',
    `A confirmation of one period, used for another, was answered ${other.status} ${other.problem() ?? ''}.`,
  );
  const right = await browser.confirm('audit-trail.export', { from: EMPTY_DAY, to: EMPTY_DAY });
  const accepted = await browser.post(path, { from: EMPTY_DAY, to: EMPTY_DAY }, right);
  done.expect(
    accepted.problem() === 'export_empty',
    `The right confirmation was answered ${accepted.status} ${accepted.problem() ?? ''}.`,
  );
}

/** Tries each of the four actions without, with a swapped, with a used and with the right passkey signature. */
export const stepUpProbe: Probe = {
  id: 'access.step-up',
  claims: ['access.step-up'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    // Both before anything is tried: should a wrong confirmation change a role, then whoever is asked for by role from
    // then on is somebody else, and other probes would see doors open that are not.
    const [auditor] = await Promise.all([house.session('a', 'auditor'), house.session('a', 'client')]);
    const memberId = house.idOf('mem', 'a', auditor.personId);
    const person = await house.enrol('a', 'lead', 1 + house.random.bytes(1)[0]!);
    const browser = new Browser(house, person);
    await withOnePasskey(browser, { memberId, done });
    await person.addPasskey();
    const ground: Ground = { browser, rolePath: `/api/access/members/${memberId}/role`, memberId, done };
    await withoutConfirmation(ground, house.canaries.a.ids['eng']!);
    await atTheIssuer(ground);
    await atTheWorkspace(ground);
    const foreigner = await house.session('b', 'auditor');
    await ofAnotherTenant(browser, { memberId: house.idOf('mem', 'b', foreigner.personId), done });
    const { cookie } = await house.session('a', 'lead');
    const input = { operation: 'access.change-role', input: { memberId, role: 'auditor' } };
    const noPasskey = await house.fetch('/api/access/step-up', { method: 'POST', json: input, cookie });
    done.expect(
      noPasskey.status === 403,
      `A session without a passkey was offered a confirmation (${noPasskey.status}).`,
    );
    return verdict(done, {
      green:
        'Four actions were refused without a passkey signature; one made for another input, for another action, or used before was refused at two services; the right one was accepted at both. A lead with one passkey was offered none, nor anybody about another organisation’s member.',
    });
  },
};
