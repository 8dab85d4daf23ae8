import { globSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { policyToJson } from '@cedar-policy/cedar-wasm/nodejs';
import { loadPolicies, type DecisionRequest, type PolicySet } from '@auditrax/policy';
import { compileRules } from '@auditrax/policy/rulebook';
import { readSchema } from '@auditrax/policy/schema';
import type { BenchResult } from '../app/bin/commands/bench.ts';
import { ROOT } from '../app/bin/root.ts';
import { readRoutePolicies } from '../app/domains/access/index.ts';

/** Interleaved: each round measures every side, so that a busy moment hits all of them. */
const ROUNDS = 40;
const JUDGEMENTS = 5000;
const DECISIONS = 40;
const COMPILATIONS = 5;

const person = (role: string) => ({
  type: 'Person',
  id: '0b6f6a2e-1d3c-4f5a-8b7e-2c9d4e5f6a7b',
  attributes: { role, tenant: 'a2f1', tenantKind: 'customer', method: 'passkey', door: 'edge' },
});
const engagement = (contacts: readonly string[]) => ({
  type: 'Engagement',
  id: 'e91c7b52-5a0d-4c3e-9f68-7d1b2a3c4e5f',
  attributes: { state: 'fieldwork', contacts },
});

/** What a working day asks: people who may, contacts who are named and who are not, roles that may not. */
const REQUESTS: readonly DecisionRequest[] = [
  ['lead', 'engagements.finalise', []],
  ['auditor', 'engagements.read', []],
  ['auditor', 'engagements.finalise', ['x']],
  ['client', 'evidence.download', ['x', person('client').id]],
  ['client', 'engagements.read', ['x', 'y', 'z']],
].map(([role, action, contacts]) => ({
  principal: person(role as string),
  action: action as string,
  resource: engagement(contacts as string[]),
  context: {},
}));

/** Of this process's own time: what other programs take of the machine is no property of a decision. */
function microseconds(times: number, work: (index: number) => void): number {
  const start = process.cpuUsage();
  for (let index = 0; index < times; index += 1) work(index);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / times;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1] ?? Number.NaN;
}

function request(index: number): DecisionRequest {
  return REQUESTS[index % REQUESTS.length]!;
}

/** A figure of a decision that is wrong would be worth nothing. */
function checkAgreement(set: PolicySet): number {
  let allowed = 0;
  for (const each of REQUESTS) {
    const cedar = set.decide(each).allowed;
    if (set.judge(each) !== cedar) throw new Error(`${each.action}: the compiled decision is not Cedar's`);
    allowed += cedar ? 1 : 0;
  }
  return allowed;
}

/**
 * The house's own policies: one compiled decision (values checked against the schema included), one of Cedar, and the
 * compilation of the whole set, for every action and type, into both JavaScript and SQL.
 */
export function run(progress: (line: string) => void): Promise<BenchResult> {
  const source = readRoutePolicies(
    globSync('app/domains/*/policy.cedar', { cwd: ROOT }).map((file) => join(ROOT, file)),
  );
  const set = loadPolicies(source);
  const schema = readSchema(source.schema);
  const parsed = source.policies.map(({ id, text }) => {
    const answer = policyToJson(text);
    if (answer.type === 'failure') throw new Error(`${id} does not parse`);
    return { id, json: answer.json };
  });
  const allowed = checkAgreement(set);
  progress(`${parsed.length} policies, ${schema.actions.size} actions, ${ROUNDS} interleaved rounds`);
  const rounds = Array.from({ length: ROUNDS }, () => ({
    decision: microseconds(JUDGEMENTS, (index) => set.judge(request(index))),
    cedar: microseconds(DECISIONS, (index) => set.decide(request(index))),
    compile: microseconds(COMPILATIONS, () => compileRules(parsed, schema)) / 1000,
  }));
  const figure = (pick: 'decision' | 'cedar' | 'compile') =>
    Number(median(rounds.map((round) => round[pick])).toFixed(3));
  return Promise.resolve({
    figures: {
      decision_us: figure('decision'),
      cedar_us: figure('cedar'),
      compile_ms: figure('compile'),
      cedar_vs_decision: Number((figure('cedar') / figure('decision')).toFixed(0)),
    },
    conditions: {
      policies: parsed.length,
      actions: schema.actions.size,
      requests: REQUESTS.length,
      allowed,
      rounds: ROUNDS,
      cpu: cpus()[0]?.model ?? 'unknown',
      load_1min: loadavg()[0],
      node: process.version,
    },
  });
}
