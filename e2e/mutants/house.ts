// One house, mutated again and again: an enforcer is replaced by nothing, all probes run, and what turned red is noted.
import { globSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from 'pg';
import type { ServiceName } from '@auditrax/base';
import { gradeClaim } from '../../app/claims/grade.ts';
import type { ClaimId } from '../../app/claims/ids.ts';
import { observationFrom } from '../../app/claims/queries.ts';
import { probedClaims } from '../../app/claims/register.ts';
import { DRILLED, LONG_DRILLS, REHEARSALS } from '../../app/probes/registry.ts';
import { makeStateFolder, openTestHouse, removeFolder, seedSample, type TestHouse } from '../testing/house.ts';
import { openAsSuperuser } from '../testing/log-check.ts';
import { mutatedArguments, replacing } from './hook.ts';
import type { FunctionMutant, ModuleMutant, Mutant } from './mutants.ts';

export interface RedClaim {
  readonly id: ClaimId;
  readonly detail: string;
}

export interface MutantHouse {
  readonly test: TestHouse;
  /** Puts this mutant in the place of the one before; undefined puts everything back. */
  apply(mutant: Mutant | undefined): Promise<void>;
  /**
   * Runs every probe and returns the claims that are not green. A claim whose probe left no run is not green. Rehearsals
   * take many seconds: only those of the claims named run, and count. Somebody leaves by a signal with a rehearsal, and
   * where nothing else can tell.
   */
  prove(rehearsed: readonly ClaimId[], mutant?: Mutant): Promise<RedClaim[]>;
  client: Client;
  close(): Promise<void>;
}

type ObservationRow = Parameters<typeof observationFrom>[0];

/**
 * No attempts, revisions and probes beside those that the test asks for. A sentinel that has just started finds every
 * probe due, and its own round would run beside the one that is asked for and hold up the next restart.
 */
const NO_LOOPS = {
  sentinel: { attempt_ms: 3_600_000, publish_ms: 3_600_000, schedule_ms: 3_600_000, leaver_ms: 36_000_000 },
} as const;

/** All probes run here every few seconds and not once an hour: more ceremonies than one client may begin. */
const NO_CEREMONY_LIMIT = {
  issuer: replacing({
    file: 'app/domains/identity/attempt-limit.ts',
    export: 'createAttemptLimit',
    nothing: '() => () => {}',
  }),
  gateway: replacing({
    file: 'app/platform/edge/limits.ts',
    export: 'EDGE_LIMITS',
    nothing: '{ ...EDGE_LIMITS, signIn: EDGE_LIMITS.client }',
  }),
} as const;

/**
 * On a busy machine a beat comes late, and a gateway that hears none drops what it keeps: the second wall, behind which
 * nobody sees that the first one, being told, is gone. Longer than any drill looks.
 */
const LONG_PATIENCE = replacing({
  file: 'app/platform/edge/follow-evictions.ts',
  export: 'FEED_SILENT_MS_MAX',
  nothing: '30_000',
});

/**
 * Whoever is let in stays in: there is less to wait for than in a house in earnest, where the first word may be late.
 * A gateway keeps a token for 27 seconds, so that nothing ends by itself before.
 */
const FOLLOWED_SHORTLY = replacing({
  file: 'app/probes/leaver-loop.ts',
  export: 'FOLLOWED_MS_MAX',
  nothing: '6_000',
});

const REPLACED = {
  issuer: NO_CEREMONY_LIMIT.issuer,
  gateway: [...NO_CEREMONY_LIMIT.gateway, ...LONG_PATIENCE],
  sentinel: FOLLOWED_SHORTLY,
} as const;

/** The runtime's arguments of a process as it was started, from the kernel. */
function argumentsOf(pid: number, service: ServiceName): string[] {
  const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  const program = line.findIndex((part) => part.endsWith(`/app/bin/${service}.ts`));
  return line.slice(1, program);
}

async function removeFunction(client: Client, mutant: FunctionMutant): Promise<() => Promise<void>> {
  const { rows } = await client.query<{ source: string }>('select pg_get_functiondef($1::regprocedure) as source', [
    mutant.signature,
  ]);
  await client.query(mutant.nothing);
  return async () => void (await client.query(rows[0]!.source));
}

async function removeWall(client: Client): Promise<() => Promise<void>> {
  const { rows } = await client.query<{ name: string; forced: boolean }>(
    `select c.oid::regclass::text as name, c.relforcerowsecurity as forced from pg_class c
     join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and c.relrowsecurity and (n.nspname in ('app', 'identity', 'oncall') or starts_with(n.nspname, 't_'))`,
  );
  const all = (change: string): Promise<unknown> =>
    client.query(rows.map(({ name }) => `alter table ${name} ${change};`).join('\n'));
  if (!rows.every(({ forced }) => forced)) throw new Error('a table with row-level security does not force it');
  await all('disable row level security');
  return async () => void (await all('enable row level security'));
}

async function grantEverything(client: Client): Promise<() => Promise<void>> {
  await client.query('grant ax_owner to ax_workspace with inherit true');
  return async () => void (await client.query('revoke ax_owner from ax_workspace'));
}

class Mutations {
  readonly #test: TestHouse;
  readonly #client: Client;
  readonly #own: Readonly<Record<string, readonly string[]>>;
  readonly #state: string;
  #current: ModuleMutant | undefined;
  #undo: () => Promise<void> = () => Promise.resolve();
  #cursor: string | undefined;

  constructor(test: TestHouse, client: Client, state: string) {
    this.#test = test;
    this.#state = state;
    this.#client = client;
    const pids = test.house.supervisor.pids();
    this.#own = Object.fromEntries(
      Object.entries(pids).map(([service, pid]) => [service, argumentsOf(pid, service as ServiceName)]),
    );
  }

  async apply(mutant: Mutant | undefined): Promise<void> {
    await this.#undo();
    this.#undo = () => Promise.resolve();
    await this.#restart(mutant?.kind === 'module' ? mutant : undefined);
    if (mutant?.kind === 'function') this.#undo = await removeFunction(this.#client, mutant);
    if (mutant?.kind === 'wall') this.#undo = await removeWall(this.#client);
    if (mutant?.kind === 'grant') this.#undo = await grantEverything(this.#client);
  }

  /** The process that gets the next mutant loses the one before in the same restart. */
  async #restart(mutant: ModuleMutant | undefined): Promise<void> {
    const { supervisor } = this.#test.house;
    const before = this.#current;
    const touched = new Set([...(before?.processes ?? []), ...(mutant?.processes ?? [])]);
    // The gateway keeps tokens of the issuer's key for seconds, and a new issuer has a new key.
    if (touched.has('issuer')) touched.add('gateway');
    if (before?.leavesLeavers === true) {
      touched.add('sentinel');
      this.#forgetLeavers();
    }
    this.#current = mutant;
    if (before?.rewindsTail !== true) this.#cursor = await this.#position();
    await Promise.all(
      [...touched].map((service) => {
        const own = this.#own[service]!;
        const execArgv = mutant?.processes.includes(service) === true ? mutatedArguments(mutant, own) : own;
        return supervisor.restart(service, { execArgv });
      }),
    );
    if (!touched.has('sentinel')) return;
    if (before?.rewindsTail === true)
      await this.#client.query("update oncall.cursor set position = $1 where cell = 'home'", [this.#cursor]);
    await supervisor.ask('sentinel', 'begin', null);
  }

  /** Written at the end of a departure only, and none is under way between two mutants. */
  #forgetLeavers(): void {
    for (const file of globSync('**/departures', { cwd: this.#state })) rmSync(join(this.#state, file));
  }

  /** How far the tail has read. */
  async #position(): Promise<string> {
    const { rows } = await this.#client.query<{ position: string }>(
      "select position from oncall.cursor where cell = 'home'",
    );
    return rows[0]!.position;
  }
}

/**
 * A probe that met a process which was just coming up has seen nothing, and looks once more. What a mutant breaks is as
 * broken the second time.
 */
const SAW_NOTHING = /could not be carried out/;

/** Claims that only a rehearsal looks at, or a drill of half a minute. */
export const REHEARSED: ReadonlySet<ClaimId> = new Set(
  [...REHEARSALS, ...LONG_DRILLS].flatMap((probe) => probe.claims),
);

/** Claims that nobody has looked at before the first drill of hours is over: they can turn red and not green here. */
const DRILLED_CLAIMS: ReadonlySet<ClaimId> = new Set(DRILLED.flatMap((probe) => probe.claims));

async function notGreen(client: Client, since_ms: number): Promise<RedClaim[]> {
  const { rows } = await client.query<ObservationRow>(
    `select probe_id, (extract(epoch from observed_at) * 1000)::float8 as observed_ms, duration_ms, state, detail,
       measured_value, measured_limit, measured_unit, evidence, rehearsed_against, entry_id
     from claims.observation where observed_at >= $1`,
    [new Date(since_ms)],
  );
  const observations = rows.map(observationFrom);
  return probedClaims.flatMap((claim) => {
    const graded = gradeClaim({ claim, observations, now_ms: Date.now(), dueSince_ms: since_ms });
    const isNotYet = DRILLED_CLAIMS.has(claim.id) && graded.standing === 'asserted';
    return graded.state === 'green' || isNotYet ? [] : [{ id: claim.id, detail: graded.detail }];
  });
}

/** Starts the house, seeds it, begins, and hands it over green or not. */
export async function openMutantHouse(): Promise<MutantHouse> {
  const state = makeStateFolder();
  const test = await openTestHouse(state, {
    options: NO_LOOPS,
    execArgv: REPLACED,
  });
  const { supervisor } = test.house;
  await seedSample(test.house);
  await supervisor.ask('sentinel', 'begin', null);
  const client = await openAsSuperuser(test.house);
  const mutations = new Mutations(test, client, state);
  return {
    test,
    client,
    apply: (mutant) => mutations.apply(mutant),
    prove: async (rehearsed, mutant) => {
      const claims = probedClaims.map(({ id }) => id).filter((id) => !REHEARSED.has(id) || rehearsed.includes(id));
      const run = async () => {
        const since_ms = Date.now();
        // Its answer is the graded page, which is itself among the things that are replaced: the stored runs are read.
        // With every mutant it would be minutes of all.
        const rehearse = rehearsed.length > 0 || (mutant?.kind === 'module' && mutant.bySignal === true);
        await supervisor.ask('sentinel', 'prove', { claims, rehearse });
        const red = await notGreen(client, since_ms);
        return red.filter(({ id }) => claims.includes(id));
      };
      const red = await run();
      return red.some(({ detail }) => SAW_NOTHING.test(detail)) ? run() : red;
    },
    close: async () => {
      await client.end();
      await test.stop();
      removeFolder(state);
    },
  };
}
