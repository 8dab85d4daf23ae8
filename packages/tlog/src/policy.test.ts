import { beforeAll, describe, expect, it } from 'vitest';
import * as tlog from './index.ts';
import { testKey, testWitness } from './testing.ts';
import { browserPrimitives } from './verify-browser.ts';

const NAMES = ['x1', 'x2', 'x3', 'y1', 'y2'] as const;
let log: string;
let other: string;
const vkeys = new Map<string, string>();

beforeAll(async () => {
  log = (await testKey().named('log.example/log/a/1')).verifierKey;
  other = (await testKey().named('log.example/log/b/1')).verifierKey;
  for (const name of NAMES) vkeys.set(name, (await testWitness(`${name}.example/w`)).vkey);
});

const lines = (...more: string[]): string => {
  const witnesses = NAMES.map((name) => `witness ${name} ${vkeys.get(name)}`);
  return [`log ${log}`, ...witnesses, ...more, ''].join('\n');
};
const parse = (text: string) => tlog.parsePolicyWith(tlog.nodePrimitives, text);

async function policyOf(text: string): Promise<tlog.Policy> {
  const verdict = await parse(text);
  if (!verdict.ok) throw new Error(`line ${verdict.line}: ${verdict.problem}`);
  return verdict.policy;
}

/** Cosignatures by these witnesses at these times; their signatures count as verified already. */
async function signedAt(times: Partial<Record<(typeof NAMES)[number], number>>): Promise<tlog.Cosignature[]> {
  return Promise.all(
    Object.entries(times).map(async ([name, seconds]) => ({
      key: (await tlog.parseVerifierKey(vkeys.get(name)!))!,
      seconds,
    })),
  );
}

describe('T17: a policy is read strictly or not at all', () => {
  it('reads logs, witnesses, groups of groups, comments and any white space', async () => {
    const text = ` \t# who counts\n\n${lines(
      'group  X\t2 x1 x2 x3',
      'group Y any y1 y2',
      'group both all X Y',
      '  quorum both  ',
    )}`;
    const policy = await policyOf(text);
    expect(policy).toMatchObject({
      logs: [{ key: { text: log } }],
      quorum: 'both',
      groups: [
        { name: 'X', threshold: 2, members: ['x1', 'x2', 'x3'] },
        { name: 'Y', threshold: 1 },
        { name: 'both', threshold: 2 },
      ],
    });
    expect(await policyOf(tlog.formatPolicy(policy))).toEqual(policy);
    expect(await tlog.parsePolicyWith(browserPrimitives, text)).toEqual({ ok: true, policy });
    expect(await policyOf(`log ${log} https://log.example/\nquorum none\n`)).toMatchObject({
      logs: [{ url: 'https://log.example/' }],
    });
    expect(await policyOf('quorum none\n')).toMatchObject({ logs: [], witnesses: [] });
  });

  it('refuses what is doubled, undefined, too much, of the wrong kind or badly spelled', async () => {
    const x1 = vkeys.get('x1')!;
    const renamed = await tlog.keyIdWith(tlog.nodePrimitives, {
      name: 'again',
      type: 4,
      publicKey: (await tlog.parseVerifierKey(x1))!.publicKey,
    });
    const again = `again+${renamed}+${x1.split('+').slice(2).join('+')}`;
    expect(await tlog.parseVerifierKey(again)).toBeDefined();
    const bad: [string, string][] = [
      ['no quorum', lines()],
      ['two quorums', lines('quorum x1', 'quorum x1')],
      ['quorum of nobody', lines('quorum z')],
      ['a word too many', lines('quorum x1 x2')],
      ['an unknown word', lines('quorom x1')],
      ['capitals', lines('Quorum x1')],
      ['a group of later names', lines('group A all B', 'group B all x1', 'quorum A')],
      ['a group of itself', lines('group A all A', 'quorum A')],
      ['an empty group', lines('group A all', 'quorum A')],
      ['none of many', lines('group A 0 x1 x2', 'quorum A')],
      ['three of two', lines('group A 3 x1 x2', 'quorum A')],
      ['a number with a zero before it', lines('group A 01 x1 x2', 'quorum A')],
      ['a number with a sign', lines('group A +1 x1 x2', 'quorum A')],
      ['a member twice in one group', lines('group A any x1 x1', 'quorum A')],
      ['a member of two groups', lines('group A any x1', 'group B any x1 x2', 'quorum B')],
      ['none as a member', lines('group A any none x1', 'quorum A')],
      ['a group named none', lines('group none any x1', 'quorum none')],
      ['a witness named none', lines(`witness none ${again}`, 'quorum none')],
      ['a name twice', lines(`witness x1 ${again}`, 'quorum x1')],
      ['one public key under two names', lines(`witness again ${again}`, 'quorum x1')],
      ['a log twice', lines(`log ${log}`, 'quorum none')],
      ['a witness as a log', lines(`log ${x1}`, 'quorum none')],
      ['a log as a witness', lines(`witness z ${other}`, 'quorum none')],
      ['no key', lines('witness z z', 'quorum none')],
      ['a carriage return', lines('quorum none').replaceAll('\n', '\r\n')],
      ['a zero byte', lines('quorum none\0')],
      ['no final line feed', lines('quorum none').slice(0, -1)],
      ['a no-break space', lines('quorum\u00a0none')],
      ['too much', `${'#\n'.repeat(tlog.POLICY_BYTES_MAX)}quorum none\n`],
    ];
    for (const [what, text] of bad) expect((await parse(text)).ok, what).toBe(false);
    const verdict = await parse(lines('quorom x1'));
    expect(verdict).toMatchObject({ ok: false, line: 7 });
  });
});

describe('T18: a quorum is met by enough different witnesses, at the time of the one that completed it', () => {
  it('k of n, groups of groups, nobody', async () => {
    const policy = await policyOf(
      lines('group X 2 x1 x2 x3', 'group Y any y1 y2', 'group both all X Y', 'quorum both'),
    );
    const at = async (times: Parameters<typeof signedAt>[0]) => tlog.evaluatePolicy(policy, await signedAt(times));
    expect(await at({ x1: 10, x2: 20, y1: 15 })).toMatchObject({ met: true, seconds: 20, signed: ['x1', 'x2', 'y1'] });
    expect(await at({ x1: 10, x2: 20, x3: 5, y1: 40, y2: 30 })).toMatchObject({ met: true, seconds: 30 });
    for (const times of [{}, { x1: 1, y1: 1 }, { x1: 1, x2: 1, x3: 1 }, { y1: 1, y2: 1 }])
      expect(await at(times)).toMatchObject({ met: false, seconds: undefined });
    expect(tlog.evaluatePolicy(await policyOf(lines('quorum none')), [])).toMatchObject({
      met: true,
      seconds: undefined,
    });
    expect(tlog.evaluatePolicy(await policyOf(lines('quorum y2')), await signedAt({ y2: 7 }))).toMatchObject({
      met: true,
      seconds: 7,
    });
  });

  it('a minority with a false clock cannot move the time beyond an honest one, and a witness counts once', async () => {
    const policy = await policyOf(lines('group X 2 x1 x2 x3', 'quorum X'));
    expect(tlog.evaluatePolicy(policy, await signedAt({ x1: 1, x2: 1000, x3: 1010 })).seconds).toBe(1000);
    expect(tlog.evaluatePolicy(policy, await signedAt({ x1: 999_999, x2: 1000, x3: 1010 })).seconds).toBe(1010);
    const twice = [...(await signedAt({ x1: 1 })), ...(await signedAt({ x1: 2 }))];
    expect(tlog.evaluatePolicy(policy, twice).met).toBe(false);
  });
});
