import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type PasskeyPerson,
  type Probe,
  type ProbeHouse,
  type ProbeResponse,
  type ReviewStanding,
} from '../../claims/probe.ts';
import { checks, verdict, type Checks } from '../../claims/verdict.ts';

/** A quarter has no more days. */
const AGE_DAYS_MAX = 92;
const DAY_MS = 86_400_000;
/** To decide in; what is left undecided lapses at the end of it. Room for a loaded machine, not a measured need. */
const DRILL_SECONDS = 15;
/** Every gateway has been told within a second; twice that, and a look. */
const GONE_MS_MAX = 5_000;
const LOOK_MS = 250;
/** The room looks at a removal five seconds after it. */
const PROOF_MS = 5_500;
const LIMIT_MS = 90_000;
/** A drill takes half a minute and makes four people sign in; a late review is told within the hour. */
const EVERY_SECONDS = 3_600;
const SESSION_PATH = '/api/identity/passkeys';

/** The reviewer in a browser that keeps its cookie: each confirmation brings a new one. */
class Reviewer {
  readonly #house: ProbeHouse;
  readonly #person: PasskeyPerson;
  readonly #path: string;
  readonly #reviewId: string;
  #cookie: string;

  constructor(house: ProbeHouse, person: PasskeyPerson, reviewId: string) {
    this.#house = house;
    this.#person = person;
    this.#reviewId = reviewId;
    this.#path = `/api/access-reviews/${reviewId}`;
    this.#cookie = person.cookie;
  }

  async #send(path: string, json?: object, stepUp?: string): Promise<ProbeResponse> {
    const reply = await this.#house.fetch(path, {
      cookie: this.#cookie,
      ...(json === undefined ? {} : { method: 'POST', json: json as never }),
      ...(stepUp === undefined ? {} : { headers: { 'x-step-up': stepUp } }),
    });
    const renewed = /^__Host-auditrax=[A-Za-z0-9_-]{16,}/m.exec(reply.headers['set-cookie'] ?? '')?.[0];
    this.#cookie = renewed ?? this.#cookie;
    return reply;
  }

  read(part = ''): Promise<ProbeResponse> {
    return this.#send(`${this.#path}${part}`);
  }

  /** One decision, confirmed as a person would. */
  async decide(snapshot: string, { n, grown }: Item, given: object): Promise<ProbeResponse> {
    const body = { snapshot, decisions: [{ item: n, grown, ...given }] };
    const input = { reviewId: this.#reviewId, ...body };
    const begun = await this.#send('/api/access/step-up', { operation: 'access-reviews.decide', input });
    if (begun.status !== 200) return begun;
    const { challengeId, options } = begun.json() as { challengeId: string; options: never };
    const assertion = this.#person.authenticator.authenticate(options);
    const stepUp = Buffer.from(JSON.stringify({ challengeId, assertion })).toString('base64url');
    return this.#send(`${this.#path}/decisions`, body, stepUp);
  }
}

interface Item {
  readonly n: number;
  readonly kind: string;
  readonly name: string;
  readonly isOwn: boolean;
  readonly grown: string;
  readonly decidedBecause: string | null;
  readonly proof: string | null;
}

interface Shown {
  readonly review: { readonly state: string; readonly snapshotHash: string };
  readonly items: readonly Item[];
}

function shownIn(reply: ProbeResponse): Shown {
  if (reply.status === 200) return reply.json() as Shown;
  throw Object.assign(new Error('no review'), { name: `review_${reply.status}_${reply.problem() ?? ''}` });
}

/** Whether a cookie that worked before is refused, soon enough. */
async function isRefusedSoon(house: ProbeHouse, cookie: string): Promise<boolean> {
  for (let waited_ms = 0; waited_ms <= GONE_MS_MAX; waited_ms += LOOK_MS) {
    if ((await house.fetch(SESSION_PATH, { cookie })).status === 401) return true;
    await sleep(LOOK_MS);
  }
  return false;
}

const refusedAs = (reply: ProbeResponse, code: string): boolean => reply.status >= 400 && reply.problem() === code;
const named = (items: readonly Item[], name: string): Item =>
  items.find((item) => item.kind === 'member' && item.name.endsWith(name))!;

/** While it may be decided: the hash anybody can recompute, oneself, and somebody who is to go. */
async function beforeTheEnd(
  house: ProbeHouse,
  of: { readonly reviewer: Reviewer; readonly second: Reviewer; readonly gone: PasskeyPerson; readonly done: Checks },
): Promise<Shown> {
  const { reviewer, second, gone, done } = of;
  const shown = shownIn(await reviewer.read());
  const { snapshotHash } = shown.review;
  const { text } = (await reviewer.read('/snapshot')).json() as { text: string };
  done.expect(
    createHash('sha256').update(text, 'utf8').digest('hex') === snapshotHash,
    'The snapshot that is handed out does not have the hash that was logged.',
  );
  const own = shown.items.find(({ isOwn }) => isOwn)!;
  const self = await reviewer.decide(snapshotHash, own, { decision: 'keep' });
  done.expect(refusedAs(self, 'access_review_own'), `Somebody reviewed their own access (${self.status}).`);
  // Else the deadline would end the reviewer's own session, and nobody would try to decide after it.
  const kept = await second.decide(snapshotHash, named(shown.items, 'reviewer'), { decision: 'keep' });
  done.expect(kept.status === 200, `Keeping the reviewer was answered ${kept.status} ${kept.problem() ?? ''}.`);
  const reason = 'Rehearsal: not needed any more.';
  const removal = await reviewer.decide(snapshotHash, named(shown.items, 'removed'), { decision: 'remove', reason });
  done.expect(removal.status === 200, `A removal was answered ${removal.status} ${removal.problem() ?? ''}.`);
  done.expect(
    await isRefusedSoon(house, gone.cookie),
    'Somebody whose access a review removed still got in with their session.',
  );
  return shown;
}

/** After it: nobody decides any more, and what nobody decided is gone and seen to be gone. */
async function afterTheEnd(
  house: ProbeHouse,
  of: { readonly reviewer: Reviewer; readonly lapsed: PasskeyPerson; readonly shown: Shown; readonly done: Checks },
): Promise<void> {
  const { reviewer, lapsed, shown, done } = of;
  const late = await reviewer.decide(shown.review.snapshotHash, named(shown.items, 'undecided'), { decision: 'keep' });
  // The reviewer was kept, so their session is there to try it with. Where the house was quicker it says by now what the
  // deadline has decided; no other refusal is one of a late decision.
  const isRefused = refusedAs(late, 'access_review_state') || refusedAs(late, 'access_review_decided');
  done.expect(isRefused, `A decision after the deadline was answered ${late.status} ${late.problem() ?? ''}.`);
  await house.accessReviews.tend();
  done.expect(
    await isRefusedSoon(house, lapsed.cookie),
    'Somebody about whom nobody had decided by the deadline still got in with their session.',
  );
}

/** A small review of people made for it, in a canary, by the doors that people use. */
async function rehearseReview(house: ProbeHouse, done: Checks): Promise<void> {
  const { accessReviews } = house;
  const people = await accessReviews.people();
  for (const who of [people.reviewer, people.second]) await who.addPasskey();
  for (const { cookie } of Object.values(people))
    if ((await house.fetch(SESSION_PATH, { cookie })).status !== 200)
      throw Object.assign(new Error('no session'), { name: 'review_drill_failed' });
  const opened_ms = house.clock.nowMs();
  const reviewId = await accessReviews.open(DRILL_SECONDS);
  const reviewer = new Reviewer(house, people.reviewer, reviewId);
  const second = new Reviewer(house, people.second, reviewId);
  const shown = await beforeTheEnd(house, { reviewer, second, gone: people.removed, done });
  await sleep(Math.max(0, opened_ms + (DRILL_SECONDS + 1) * 1000 - house.clock.nowMs()));
  await afterTheEnd(house, { reviewer, lapsed: people.undecided, shown, done });
  await sleep(PROOF_MS);
  await accessReviews.tend();
  const lead = await house.session('a', 'lead');
  const end = shownIn(await house.fetch(`/api/access-reviews/${reviewId}`, { cookie: lead.cookie }));
  const kept = named(end.items, 'reviewer');
  done.expect(
    end.items.length === Object.keys(people).length &&
      end.items.every((item) => item === kept || item.proof === 'gone'),
    'A removal was not seen to be gone when it was looked at later.',
  );
  done.expect(
    named(end.items, 'undecided').decidedBecause === 'deadline' && end.review.state === 'closed',
    `The review did not end by itself (${end.review.state}).`,
  );
}

/** The operator's own: nothing of it can be rehearsed, so its record is read. */
function judgeStanding(standing: ReviewStanding, now_ms: number, done: Checks): number | undefined {
  const { closedAt, undecidedAtClose, isOverdue, stillThere } = standing;
  const age_days = closedAt === null ? undefined : (now_ms - Date.parse(closedAt)) / DAY_MS;
  done.expect(!isOverdue, 'The review of the operator’s own access is over its end and not closed.');
  done.expect(stillThere === 0, 'Access of the operator that a review had removed was there again.');
  done.expect(undecidedAtClose === 0, `The operator’s last review left ${undecidedAtClose} accesses undecided.`);
  done.expect(
    age_days === undefined ? isOverdue : age_days <= AGE_DAYS_MAX,
    'The last review of the operator’s own access is older than 92 days.',
  );
  return age_days;
}

interface Look {
  readonly done: Checks;
  readonly standing: ReviewStanding;
  readonly age_days: number | undefined;
}

async function look(house: ProbeHouse): Promise<Look> {
  const done = checks();
  await rehearseReview(house, done);
  const standing = await house.accessReviews.standing();
  done.expect(standing.unjudged === 0, 'An emergency access of the operator was judged by nobody within a week.');
  const isDue = standing.closedAt !== null || standing.isOverdue;
  return { done, standing, age_days: isDue ? judgeStanding(standing, house.clock.nowMs(), done) : undefined };
}

/** What `isReady` has just seen, for the run that follows. */
const seen = new WeakMap<ProbeHouse, Look>();

/**
 * Carries out a small review of people made for it on a canary: tries to review oneself and to decide too late, leaves
 * one undecided, and reads what those who were removed can still do. Then reads how old the operator's own last review is.
 */
export const accessReviewsProbe: Probe = {
  id: 'people.access-reviews',
  claims: ['people.least-privilege'],
  everySeconds: EVERY_SECONDS,
  limit_ms: LIMIT_MS,
  /** Before the operator's first review is closed a green drill is no proof; one that went wrong is told at once. */
  async isReady(house) {
    const found = await look(house);
    seen.set(house, found);
    return found.standing.closedAt !== null || found.done.faults.length > 0;
  },
  async run(house) {
    const { done, standing, age_days } = seen.get(house) ?? (await look(house));
    seen.delete(house);
    const age = age_days === undefined ? 'not closed yet' : `closed ${Math.floor(age_days)} days ago`;
    return verdict(done, {
      green: `The operator’s last access review was ${age}, with nothing undecided. On a canary: nobody reviewed themselves, a decision after the deadline was refused, whoever nobody decided about was out, and what was removed was gone when it was looked at later.`,
      evidence: { closedAt: standing.closedAt, dueAt: standing.dueAt },
    });
  },
};
