// What must hold of rows and log after any crash, read as the database's superuser: no wall of ours is in the way.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { openCheckpoint, parseVerifierKey } from '@auditrax/tlog';
import type { House } from '../../app/bin/house.ts';
import type { CellAddress } from '../../app/platform/supervisor/messages.ts';

/** Older checkpoints whose root is computed again from the leaves. */
const CHECKPOINTS_MAX = 12;

export async function openAsSuperuser(house: House): Promise<Client> {
  const { socketDirectory, port, superuserPassword } = house.database;
  const client = new Client({
    host: socketDirectory,
    port,
    database: 'auditrax',
    user: 'ax_super',
    ...(superuserPassword === undefined ? {} : { password: superuserPassword }),
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** The same of another database of the house: a tenant's own, in its region's server. */
export async function openCellAsSuperuser(house: House, { cell, region, address }: CellAddress): Promise<Client> {
  const secret = join(house.state.path, `postgres-${region}`, 'superuser.secret');
  const { host, port, database } = address;
  const password = existsSync(secret) ? { password: readFileSync(secret, 'utf8').trim() } : {};
  const client = new Client({ host, port, database, user: 'ax_super', ...password });
  client.on('error', () => undefined);
  await client.connect().catch((cause: unknown) => {
    throw new Error(`${cell} does not let its superuser in`, { cause });
  });
  return client;
}

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** RFC 6962 section 2.1, as it is written there; deliberately not the product's code. */
function treeHead(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0]!;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha256(Buffer.of(1), treeHead(leaves.slice(0, k)), treeHead(leaves.slice(k)));
}

async function unloggedRows(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ relation: string; kind: string; id_column: string }>(
    'select relation, kind, id_column from audit.guarded_table',
  );
  const findings: string[] = rows.length === 0 ? ['no table is guarded'] : [];
  for (const { relation, kind, id_column } of rows) {
    const { rows: bare } = await client.query<{ id: string }>(
      `select r.${id_column} as id from ${relation} r where not exists (select from audit.entry e
         where e.tenant_id = r.tenant_id and e.resource_kind = $1 and e.resource_id = r.${id_column})`,
      [kind],
    );
    for (const { id } of bare) findings.push(`${relation} ${id} has no log entry`);
  }
  return findings;
}

interface LogRow {
  readonly tenant_id: string;
  readonly generation: number;
  readonly origin: string;
  readonly size: string;
  readonly root: Buffer;
}

async function faultsOfLog(client: Client, log: LogRow, keys: readonly string[]): Promise<string[]> {
  const own = [log.tenant_id, log.generation];
  const { rows } = await client.query<{ idx: string; leaf_hash: Buffer; leaf: Buffer | null }>(
    `select i.idx, i.leaf_hash, e.leaf from audit.log_index i
       left join audit.entry e on e.tenant_id = i.tenant_id and e.id = i.entry_id
     where i.tenant_id = $1 and i.generation = $2 order by i.idx`,
    own,
  );
  const findings: string[] = [];
  rows.forEach(({ idx, leaf_hash, leaf }, at) => {
    if (Number(idx) !== at) findings.push(`${log.origin}: a gap at ${at}`);
    if (leaf === null || !sha256(Buffer.of(0), leaf).equals(leaf_hash))
      findings.push(`${log.origin}: ${idx} is not its leaf`);
  });
  if (rows.length !== Number(log.size))
    findings.push(`${log.origin}: ${rows.length} leaves under a head of ${log.size}`);
  const leaves = rows.map((row) => row.leaf_hash);
  if (!treeHead(leaves).equals(log.root)) findings.push(`${log.origin}: the head is not the root of its leaves`);
  const { rows: checkpoints } = await client.query<{ size: string; root: Buffer; note: string }>(
    'select size, root, note from audit.checkpoint where tenant_id = $1 and generation = $2 order by size desc limit $3',
    [...own, CHECKPOINTS_MAX],
  );
  if (Number(checkpoints[0]?.size ?? 0) !== rows.length)
    findings.push(`${log.origin}: the last entries are not signed`);
  const known = (await Promise.all(keys.map((key) => parseVerifierKey(key)))).filter((key) => key !== undefined);
  for (const { size, root, note } of checkpoints) {
    if (!treeHead(leaves.slice(0, Number(size))).equals(root))
      findings.push(`${log.origin}: checkpoint ${size} has another root`);
    const opened = await openCheckpoint(note, known);
    if (!opened.ok || opened.checkpoint.size !== Number(size) || !Buffer.from(opened.checkpoint.root).equals(root)) {
      findings.push(`${log.origin}: the signature of checkpoint ${size} does not verify`);
    }
  }
  return findings;
}

/**
 * Every fault of rows and log together; empty means: each guarded row has its entry, each entry is in a gap-free log
 * whose head is the root of its leaves, and the log's key has signed all of it. `keys`: the log's verifier keys.
 */
export async function faultsOfRecord(client: Client, keys: readonly string[]): Promise<string[]> {
  const findings = await unloggedRows(client);
  const { rows: loose } = await client.query<{ id: string }>(
    `select e.id from audit.entry e where not exists (select from audit.log_index i
       where i.tenant_id = e.tenant_id and i.entry_id = e.id)`,
  );
  for (const { id } of loose) findings.push(`entry ${id} is in no log`);
  const { rows: logs } = await client.query<LogRow>(
    `select l.tenant_id, l.generation, l.origin, h.size, h.root from audit.log l
       join audit.log_head h on h.tenant_id = l.tenant_id and h.generation = l.generation`,
  );
  if (logs.length === 0) findings.push('there is no log');
  for (const log of logs) findings.push(...(await faultsOfLog(client, log, keys)));
  return findings;
}

/** Resolves when nothing waits to be sequenced, so that a look at the log sees all of it. */
export async function whenSequenced(client: Client, ms_max = 20_000): Promise<void> {
  const deadline = performance.now() + ms_max;
  for (;;) {
    const { rows } = await client.query<{ waiting: boolean }>(`select exists (select from audit.pending)
      or exists (select from audit.log_head h where h.size > 0 and not exists (select from audit.checkpoint c
        where c.tenant_id = h.tenant_id and c.generation = h.generation and c.size = h.size)) as waiting`);
    if (rows[0]?.waiting !== true) return;
    if (performance.now() > deadline) throw new Error(`the queue of the log is not empty after ${ms_max} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
