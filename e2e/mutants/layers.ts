// Each wall between tenants taken away in turn, and every door attacked: who refused, was it seen, was it paged.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { AttackReport } from '../../app/probes/attack-report.ts';
import { openMutantHouse, type MutantHouse } from './house.ts';
import { LAYERS, type Layer } from './mutants.ts';

const DOCUMENT = new URL('../../docs/reference/layers.md', import.meta.url);

/** Attempts made at each door, by the beginnings of their names in the sentinel's corpus. */
const DOORS: Readonly<Record<Layer, readonly string[]>> = {
  gateway: ['gateway/engagements.read/', 'gateway/engagements.record-result/', 'gateway/evidence.'],
  parser: ['parser/'],
  guard: ['guard/'],
  tripwire: ['tripwire/'],
  grant: ['grant/grant-change-entry'],
  role: ['role/'],
};
const NAMES = Object.keys(DOORS) as Layer[];

export interface LayerRow {
  readonly removed: Layer | 'none';
  readonly door: Layer;
  readonly attempts: number;
  /** By whichever wall: nothing was given out or changed. */
  readonly refused: number;
  readonly seen: number;
  readonly paged: number;
  readonly page_latency_ms_max: number;
  /** Walls that told the log. */
  readonly stopped_by: readonly string[];
}

/**
 * What may be missing at a door whose own wall is gone. Whoever stands there has got past everything in front of it:
 * at the parser's with a service's certificate and a token, at the tripwire's with the application's own login.
 */
const BEHIND: Readonly<Record<Layer, 'paged' | 'refused' | 'open'>> = {
  gateway: 'paged',
  // The statement names its own tenant, so the row is not there; nothing tells it from a row that never was.
  parser: 'refused',
  guard: 'paged',
  // The last wall in front of the rows themselves.
  tripwire: 'open',
  // The changed rows would be of every tenant, and the wall around them stands.
  grant: 'paged',
  // A foreign login in the scope of another tenant meets rows that are not that tenant's.
  role: 'paged',
};

/** An answer of the house that gave nothing away: another wall's refusal is as good as the own one's. */
function isRefusal(answer: string): boolean {
  return answer !== 'happened' && !answer.startsWith('2') && !answer.startsWith('failed');
}

/** Whether a row is as it must be. With no wall, or another one, removed, every attempt is refused, seen and paged. */
export function holds(row: LayerRow): boolean {
  const { attempts, refused, seen, paged } = row;
  const least = row.removed === row.door ? BEHIND[row.door] : 'paged';
  if (attempts === 0) return false;
  if (least === 'open') return true;
  if (least === 'refused') return refused === attempts;
  return refused === attempts && seen === attempts && paged === attempts;
}

async function attackDoor(house: MutantHouse, removed: LayerRow['removed'], door: Layer): Promise<LayerRow> {
  const { supervisor } = house.test.house;
  const report = (await supervisor.ask('sentinel', 'attack', {
    names: [...DOORS[door]],
  })) as unknown as AttackReport;
  const total = (count: (attack: AttackReport['attacks'][number]) => number): number =>
    report.attacks.reduce((sum, attack) => sum + count(attack), 0);
  return {
    removed,
    door,
    attempts: total((one) => one.attempts),
    refused: total((one) => (one.answers.every(isRefusal) ? one.attempts : 0)),
    seen: total((one) => one.seen),
    paged: total((one) => one.paged),
    page_latency_ms_max: report.attacks.reduce((most, one) => Math.max(most, one.page_latency_ms_max), 0),
    stopped_by: [...new Set(report.attacks.flatMap((one) => one.stopped_by))].toSorted(),
  };
}

/** Starts a throw-away house and attacks every door, first with every wall in its place, then with each gone in turn. */
export async function measureLayers(progress: (line: string) => void): Promise<LayerRow[]> {
  const house = await openMutantHouse();
  try {
    const rows: LayerRow[] = [];
    for (const removed of ['none', ...NAMES] as const) {
      progress(`layers: ${removed === 'none' ? 'every wall in its place' : `without the ${removed}`}`);
      await house.apply(removed === 'none' ? undefined : LAYERS[removed]);
      for (const door of NAMES) rows.push(await attackDoor(house, removed, door));
    }
    return rows;
  } finally {
    await house.close();
  }
}

function share(part: number, whole: number): string {
  if (part === whole) return 'all';
  return part === 0 ? 'none' : `${part} of ${whole}`;
}

function line(row: LayerRow): string {
  const cells = [row.refused, row.seen, row.paged].map((count) => share(count, row.attempts));
  const by = row.stopped_by.length === 0 ? 'nobody' : row.stopped_by.join(', ');
  return `| ${row.removed} | ${row.door} | ${cells.join(' | ')} | ${by} |`;
}

/** The matrix as a document, without what differs from run to run. */
export function renderLayers(rows: readonly LayerRow[]): string {
  const left = NAMES.map((name) => `- ${name}: ${LAYERS[name].left}`).join('\n');
  return `# What stands when one wall between tenants is gone

Generated by \`e2e/layers.house.test.ts\`; do not edit. \`npm run -s attack\` measures it anew. Each wall is taken away
in turn in a house of its own, and every door is attacked. A request meets the walls in the order gateway, parser, guard,
tripwire, grant, and for a tenant with a schema or a database of its own its role. Whoever stands at a door has got past everything in front of it: at the parser's with a service's
certificate and a token, at the guard's inside the program, at the tripwire's and the grants' with the application's own
login to the database, at the role's with the login of a tenant with a schema of its own, or at its tables with
everybody else's. What is left in the place of a wall:

${left}

| Removed | Door | Refused | Seen | Paged | Told the log |
| --- | --- | --- | --- | --- | --- |
${rows.map(line).join('\n')}

The test fails when a door whose own wall stands lets one attempt through, unseen or unpaged. Where the wall of the door
itself is gone, the one behind it must hold: the parser behind the gateway, the tripwire behind guard, grants and role. Behind
the parser a statement still names its own tenant, so that nothing is found and nothing is noticed. Behind the tripwire
there is no further wall for somebody who has the application's login; such a statement reaches it only past the guard.
`;
}

/** The committed document; empty when there is none. */
export function readLayers(): string {
  return existsSync(DOCUMENT) ? readFileSync(DOCUMENT, 'utf8') : '';
}

export function writeLayers(rows: readonly LayerRow[]): void {
  writeFileSync(DOCUMENT, renderLayers(rows));
}
