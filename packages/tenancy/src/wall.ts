/**
 * The tenant wall is one restrictive policy that answers "true" for a row of the transaction's tenant and raises for any
 * other. Both forms say the same; `direct` has no subquery (distributed engines refuse those in policies), `initplan`
 * reads the setting once per statement (cheaper for scans).
 */
export type WallForm = 'direct' | 'initplan';

export const WALL_POLICY = 'tenant_wall';
export const BASE_POLICY = 'tenant_base';

const SETTING: Record<WallForm, string> = {
  // No second argument: a transaction without a tenant fails, it does not see an empty world.
  direct: "current_setting('app.tenant')::uuid",
  initplan: "(select current_setting('app.tenant')::uuid)",
};

/** The condition of the wall, as written. */
export function wallCondition(form: WallForm): string {
  return `case when tenant_id = ${SETTING[form]} then true else app.trip(tenant_id) end`;
}

/** The same condition as the server prints it (`pg_get_expr` with `search_path = pg_catalog`), spaces squeezed. */
export function wallDeparsed(form: WallForm): string {
  const setting = "(current_setting('app.tenant'::text))::uuid";
  const value = form === 'direct' ? setting : `( SELECT ${setting} AS current_setting)`;
  return `CASE WHEN (tenant_id = ${value}) THEN true ELSE app.trip(tenant_id) END`;
}

const NAME = /^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$/;

/** The statements that put the wall around `schema.table`. Throws RangeError on another form of name. */
export function wallStatements(table: string, form: WallForm): string[] {
  if (!NAME.test(table)) throw new RangeError('a table is named schema.table, in lower case');
  const condition = wallCondition(form);
  return [
    `alter table ${table} enable row level security`,
    `alter table ${table} force row level security`,
    `revoke all on ${table} from public`,
    // A policy added later can widen a permissive one; it can never widen a restrictive one.
    `create policy ${BASE_POLICY} on ${table} using (true) with check (true)`,
    `create policy ${WALL_POLICY} on ${table} as restrictive using (${condition}) with check (${condition})`,
  ];
}
