import {
  EXPRESSION_KINDS,
  FUNCTIONS,
  list,
  names,
  only,
  refuse,
  SYSTEM_FUNCTIONS,
  TYPES,
  unwrap,
  VALUE_FUNCTIONS,
  type Node,
} from './grammar.ts';

/** What a door demands of the relations a statement names. */
export interface Demands {
  /** `undefined`: every relation needs `tenant_id = $n`. A set: only these tables (`schema.name`), without a tenant. */
  readonly tables: ReadonlySet<string> | undefined;
  /** Schema-qualified functions that this application allows on top of the built-in list. */
  readonly functions: ReadonlySet<string>;
}

/** What the walk found; the driver checks the parameters at every call. */
export interface Found {
  readonly relations: Set<string>;
  /** Numbers of the parameters that must be the context's tenant. */
  readonly tenantParameters: Set<number>;
}

interface Walk {
  readonly demands: Demands;
  readonly found: Found;
  /** Names of the WITH queries that can be seen from here. */
  readonly ctes: ReadonlySet<string>;
}

const TENANT_COLUMN = 'tenant_id';
const CATALOGUES: ReadonlySet<string> = new Set(['pg_catalog', 'information_schema', 'pg_toast', 'pg_temp']);

/** One query's FROM: every base relation must end up in `restricted`. */
interface Level {
  /** All things a column may come from, by the name that columns use for them. */
  readonly items: string[];
  readonly relations: string[];
  readonly restricted: Set<string>;
}

/** Analyses one statement; throws `Refused` with the first reason found. */
export function analyse(statement: Node, demands: Demands): Found {
  const found: Found = { relations: new Set(), tenantParameters: new Set() };
  query(statement, { demands, found, ctes: new Set() });
  return found;
}

function query(node: unknown, walk: Walk): void {
  const [kind, body] = unwrap(node);
  switch (kind) {
    case 'SelectStmt':
      return select(body, walk);
    case 'InsertStmt':
      return insert(body, walk);
    case 'UpdateStmt':
      return update(body, walk);
    case 'DeleteStmt':
      return remove(body, walk);
    default:
      return refuse('statement_kind', kind);
  }
}

/** The walk as the rest of the statement sees it: with the names that its WITH clause adds. */
function withClause(body: Node, outer: Walk): Walk {
  const clause = body['withClause'] as Node | undefined;
  if (clause === undefined) return outer;
  only(clause, 'WithClause', 'ctes', 'recursive');
  const visible = new Set(outer.ctes);
  const definitions = list(clause['ctes']).map((cte) => unwrap(cte)[1]);
  // Without RECURSIVE a query does not see its own name: `with pg_class as (select … from pg_class)` reads the catalogue.
  if (clause['recursive'] === true) for (const cte of definitions) visible.add(String(cte['ctename']));
  for (const cte of definitions) {
    only(cte, 'CommonTableExpr', 'ctename', 'aliascolnames', 'ctematerialized', 'ctequery');
    query(cte['ctequery'], { ...outer, ctes: new Set(visible) });
    visible.add(String(cte['ctename']));
  }
  return { ...outer, ctes: visible };
}

function select(body: Node, outer: Walk): void {
  // prettier-ignore
  only(body, 'SelectStmt', 'withClause', 'targetList', 'fromClause', 'whereClause', 'groupClause', 'groupDistinct',
    'havingClause', 'windowClause', 'valuesLists', 'sortClause', 'limitCount', 'limitOffset', 'limitOption',
    'lockingClause', 'distinctClause', 'op', 'all', 'larg', 'rarg');
  const walk = withClause(body, outer);
  if (body['op'] !== 'SETOP_NONE') {
    select(body['larg'] as Node, walk);
    select(body['rarg'] as Node, walk);
  }
  const level = newLevel();
  for (const item of list(body['fromClause'])) fromItem(item, level, walk);
  restrictByWhere(body['whereClause'], level, walk);
  // prettier-ignore
  for (const key of ['targetList', 'groupClause', 'windowClause', 'valuesLists', 'sortClause', 'distinctClause'] as const) {
    for (const part of list(body[key])) if (Object.keys(part).length > 0) expression(part, walk);
  }
  for (const key of ['havingClause', 'limitCount', 'limitOffset'] as const) optional(body[key], walk);
  demandRestricted(level, walk);
}

function newLevel(): Level {
  return { items: [], relations: [], restricted: new Set() };
}

function demandRestricted(level: Level, walk: Walk): void {
  if (walk.demands.tables !== undefined) return;
  const free = level.relations.find((name) => !level.restricted.has(name));
  if (free !== undefined) refuse('relation_unrestricted', free);
}

function restrictByWhere(where: unknown, level: Level, walk: Walk): void {
  if (where === undefined) return;
  restrict(where, level, level.items);
  expression(where, walk);
}

/** Marks the relations among `reach` that a conjunct `tenant_id = $n` of this condition holds to one tenant. */
function restrict(condition: unknown, level: Level, reach: readonly string[]): void {
  const [kind, body] = unwrap(condition);
  if (kind === 'BoolExpr' && body['boolop'] === 'AND_EXPR') {
    for (const part of list(body['args'])) restrict(part, level, reach);
    return;
  }
  const equality = tenantEquality(kind, body);
  if (equality === undefined) return;
  // A bare `tenant_id` belongs to a relation for certain only when there is nothing else it could belong to.
  const owner = equality.qualifier ?? (level.items.length === 1 ? level.items[0] : undefined);
  if (owner !== undefined && reach.includes(owner)) level.restricted.add(owner);
}

interface TenantEquality {
  readonly qualifier: string | undefined;
  readonly parameter: number;
}

function tenantEquality(kind: string, body: Node): TenantEquality | undefined {
  if (kind !== 'A_Expr' || body['kind'] !== 'AEXPR_OP') return undefined;
  if (names(body['name']).at(-1) !== '=' || body['lexpr'] === undefined || body['rexpr'] === undefined)
    return undefined;
  for (const [left, right] of [
    [body['lexpr'], body['rexpr']],
    [body['rexpr'], body['lexpr']],
  ] as const) {
    const column = tenantColumn(left);
    const parameter = tenantParameter(right);
    if (column !== undefined && parameter !== undefined) return { qualifier: column.qualifier, parameter };
  }
  return undefined;
}

function tenantColumn(node: unknown): { qualifier: string | undefined } | undefined {
  const [kind, body] = unwrap(node);
  if (kind !== 'ColumnRef') return undefined;
  const path = names(body['fields']);
  if (path.at(-1) !== TENANT_COLUMN) return undefined;
  // `schema.table.tenant_id` is possible only where the table has no alias, and then the table's name is its name.
  return { qualifier: path.length === 1 ? undefined : path.at(-2) };
}

function tenantParameter(node: unknown): number | undefined {
  const [kind, body] = unwrap(node);
  if (kind === 'ParamRef') return Number(body['number']);
  if (kind !== 'TypeCast') return undefined;
  const type = body['typeName'] as Node;
  const isUuid = names(type['names']).at(-1) === 'uuid' && type['arrayBounds'] === undefined;
  return isUuid ? tenantParameter(body['arg']) : undefined;
}

/** Adds an item of FROM to its level; returns the names it brings. */
function fromItem(node: unknown, level: Level, walk: Walk): string[] {
  const [kind, body] = unwrap(node);
  switch (kind) {
    case 'RangeVar':
      return [relation(body, level, walk)];
    case 'JoinExpr':
      return join(body, level, walk);
    case 'RangeSubselect': {
      only(body, kind, 'lateral', 'subquery', 'alias');
      query(body['subquery'], walk);
      return [addItem(body, level)];
    }
    case 'RangeFunction': {
      only(body, kind, 'lateral', 'ordinality', 'is_rowsfrom', 'functions', 'alias', 'coldeflist');
      for (const call of list(body['functions'])) {
        // Each is a pair of the call and a list of column definitions, which may be empty.
        for (const part of list(unwrap(call)[1]['items']))
          if (Object.keys(part).length > 0) rangeFunctionPart(part, walk);
      }
      for (const column of list(body['coldeflist'])) columnDefinition(column);
      return [addItem(body, level)];
    }
    default:
      return refuse('relation_form', kind);
  }
}

function rangeFunctionPart(part: Node, walk: Walk): void {
  const [kind, body] = unwrap(part);
  if (kind !== 'List') return expression(part, walk);
  for (const column of list(body['items'])) columnDefinition(column);
}

function columnDefinition(node: Node): void {
  const [kind, body] = unwrap(node);
  if (kind !== 'ColumnDef') refuse('relation_form', kind);
  typeName(body['typeName'] as Node);
}

function addItem(body: Node, level: Level): string {
  const alias = (body['alias'] as Node | undefined)?.['aliasname'];
  // Without an alias nothing outside can mean it, but it still makes a bare column ambiguous.
  const name = typeof alias === 'string' ? alias : `(unnamed ${level.items.length})`;
  level.items.push(name);
  return name;
}

function relation(body: Node, level: Level, walk: Walk): string {
  only(body, 'RangeVar', 'schemaname', 'relname', 'inh', 'relpersistence', 'alias');
  const relname = String(body['relname']);
  const alias = body['alias'] as Node | undefined;
  const name = typeof alias?.['aliasname'] === 'string' ? alias['aliasname'] : relname;
  if (level.items.includes(name)) refuse('relation_form', name);
  level.items.push(name);
  if (body['schemaname'] === undefined) {
    return walk.ctes.has(relname) ? name : refuse('relation_unqualified', relname);
  }
  // `app.t as x(a, tenant_id)` gives another column the tenant's name.
  if (alias?.['colnames'] !== undefined) refuse('relation_form', name);
  demandListed(body['schemaname'] as string, relname, walk);
  level.relations.push(name);
  return name;
}

function demandListed(schema: string, relname: string, walk: Walk): void {
  const qualified = `${schema}.${relname}`;
  if (CATALOGUES.has(schema) || schema.startsWith('pg_')) refuse('relation_catalogue', qualified);
  if (walk.demands.tables !== undefined && !walk.demands.tables.has(qualified))
    refuse('relation_not_listed', qualified);
  walk.found.relations.add(qualified);
}

function join(body: Node, level: Level, walk: Walk): string[] {
  // USING and NATURAL merge columns, and an alias hides the names inside: then `tenant_id` is nobody's for certain.
  only(body, 'JoinExpr', 'jointype', 'larg', 'rarg', 'quals');
  const left = fromItem(body['larg'], level, walk);
  const right = fromItem(body['rarg'], level, walk);
  const quals = body['quals'];
  if (quals !== undefined) {
    restrict(quals, level, joinReach(String(body['jointype']), left, right));
    expression(quals, walk);
  }
  return [...left, ...right];
}

/** Which side an ON condition really filters: an outer join keeps every row of its preserved side. */
function joinReach(type: string, left: readonly string[], right: readonly string[]): readonly string[] {
  switch (type) {
    case 'JOIN_INNER':
      return [...left, ...right];
    case 'JOIN_LEFT':
      return right;
    case 'JOIN_RIGHT':
      return left;
    case 'JOIN_FULL':
      return [];
    default:
      return refuse('join_form', type);
  }
}

function insert(body: Node, outer: Walk): void {
  // prettier-ignore
  only(body, 'InsertStmt', 'relation', 'cols', 'selectStmt', 'onConflictClause', 'returningClause', 'withClause', 'override');
  if ((body['override'] ?? 'OVERRIDING_NOT_SET') !== 'OVERRIDING_NOT_SET') refuse('clause', 'OVERRIDING');
  const walk = withClause(body, outer);
  target(body['relation'] as Node, walk);
  const columns = list(body['cols']).map((column) => unwrap(column)[1]);
  for (const column of columns) only(column, 'ResTarget', 'name');
  if (walk.demands.tables === undefined) {
    const position = columns.findIndex((column) => column['name'] === TENANT_COLUMN);
    // Named twice, only one of the values would have been looked at.
    if (position !== columns.findLastIndex((column) => column['name'] === TENANT_COLUMN))
      refuse('clause', TENANT_COLUMN);
    if (position < 0 || body['selectStmt'] === undefined) refuse('tenant_not_inserted', 'tenant_id');
    demandTenantAt(unwrap(body['selectStmt'])[1], position, walk);
  }
  if (body['selectStmt'] !== undefined) query(body['selectStmt'], walk);
  onConflict(body['onConflictClause'] as Node | undefined, walk);
  returning(body, walk);
}

/** Every row that is inserted takes its tenant from a parameter. */
function demandTenantAt(source: Node, position: number, walk: Walk): void {
  if (source['op'] !== 'SETOP_NONE') {
    demandTenantAt(source['larg'] as Node, position, walk);
    demandTenantAt(source['rarg'] as Node, position, walk);
    return;
  }
  const rows =
    source['valuesLists'] === undefined
      ? [list(source['targetList']).map((column) => unwrap(column)[1]['val'])]
      : list(source['valuesLists']).map((row) => list(unwrap(row)[1]['items']) as readonly unknown[]);
  for (const row of rows) {
    // A star before it would move the position.
    if (row.slice(0, position).some((value) => isStar(value))) refuse('tenant_not_inserted', '*');
    const parameter = row[position] === undefined ? undefined : tenantParameter(row[position]);
    if (parameter === undefined) refuse('tenant_not_inserted', 'tenant_id');
    walk.found.tenantParameters.add(parameter);
  }
}

function isStar(value: unknown): boolean {
  const [kind, body] = unwrap(value);
  if (kind === 'A_Indirection')
    return names(list(body['indirection']).filter((part) => !('A_Indices' in part))).includes('*');
  return kind === 'ColumnRef' && names(body['fields']).includes('*');
}

function onConflict(clause: Node | undefined, walk: Walk): void {
  if (clause === undefined) return;
  only(clause, 'OnConflictClause', 'action', 'infer', 'targetList', 'whereClause');
  const infer = clause['infer'] as Node | undefined;
  const elements = list(infer?.['indexElems']).map((element) => unwrap(element)[1]);
  if (infer !== undefined) only(infer, 'InferClause', 'indexElems', 'whereClause', 'conname');
  for (const element of elements) only(element, 'IndexElem', 'name', 'ordering', 'nulls_ordering');
  optional(infer?.['whereClause'], walk);
  if (clause['action'] === 'ONCONFLICT_UPDATE' && walk.demands.tables === undefined) {
    // Only a key that begins with the tenant makes the row in the way one of our own.
    if (elements[0]?.['name'] !== TENANT_COLUMN) refuse('conflict_target', 'tenant_id');
  }
  assignments(clause['targetList'], walk);
  optional(clause['whereClause'], walk);
}

function update(body: Node, outer: Walk): void {
  only(body, 'UpdateStmt', 'relation', 'targetList', 'whereClause', 'fromClause', 'returningClause', 'withClause');
  const walk = withClause(body, outer);
  const level = newLevel();
  relation(mustBeQualified(body['relation'] as Node), level, walk);
  for (const item of list(body['fromClause'])) fromItem(item, level, walk);
  restrictByWhere(body['whereClause'], level, walk);
  assignments(body['targetList'], walk);
  returning(body, walk);
  demandRestricted(level, walk);
}

function remove(body: Node, outer: Walk): void {
  only(body, 'DeleteStmt', 'relation', 'usingClause', 'whereClause', 'returningClause', 'withClause');
  const walk = withClause(body, outer);
  const level = newLevel();
  relation(mustBeQualified(body['relation'] as Node), level, walk);
  for (const item of list(body['usingClause'])) fromItem(item, level, walk);
  restrictByWhere(body['whereClause'], level, walk);
  returning(body, walk);
  demandRestricted(level, walk);
}

/** What is written to is always a table, whatever WITH calls its queries. */
function mustBeQualified(body: Node): Node {
  return body['schemaname'] === undefined ? refuse('relation_unqualified', String(body['relname'])) : body;
}

function target(body: Node, walk: Walk): void {
  only(mustBeQualified(body), 'RangeVar', 'schemaname', 'relname', 'inh', 'relpersistence', 'alias');
  demandListed(String(body['schemaname']), String(body['relname']), walk);
}

function assignments(targets: unknown, walk: Walk): void {
  for (const assignment of list(targets)) {
    const column = unwrap(assignment)[1];
    if (column['name'] === TENANT_COLUMN) refuse('tenant_updated', TENANT_COLUMN);
    expression(assignment, walk);
  }
}

function returning(body: Node, walk: Walk): void {
  const clause = body['returningClause'] as Node | undefined;
  if (clause === undefined) return;
  only(clause, 'ReturningClause', 'exprs');
  for (const part of list(clause['exprs'])) expression(part, walk);
}

function optional(node: unknown, walk: Walk): void {
  if (node !== undefined) expression(node, walk);
}

/** Keys of an expression node that hold expressions; anything unknown is refused by `only`. */
const CHILDREN: Readonly<Record<string, { readonly walk: readonly string[]; readonly plain: readonly string[] }>> = {
  A_Const: { walk: [], plain: ['ival', 'fval', 'boolval', 'sval', 'bsval', 'isnull'] },
  ParamRef: { walk: [], plain: ['number'] },
  ColumnRef: { walk: [], plain: ['fields'] },
  BoolExpr: { walk: ['args'], plain: ['boolop'] },
  NullTest: { walk: ['arg'], plain: ['nulltesttype', 'argisrow'] },
  BooleanTest: { walk: ['arg'], plain: ['booltesttype'] },
  CaseExpr: { walk: ['arg', 'args', 'defresult'], plain: [] },
  CaseWhen: { walk: ['expr', 'result'], plain: [] },
  CoalesceExpr: { walk: ['args'], plain: [] },
  MinMaxExpr: { walk: ['args'], plain: ['op'] },
  A_ArrayExpr: { walk: ['elements'], plain: ['list_start', 'list_end'] },
  A_Indirection: { walk: ['arg', 'indirection'], plain: [] },
  A_Indices: { walk: ['lidx', 'uidx'], plain: ['is_slice'] },
  A_Star: { walk: [], plain: [] },
  String: { walk: [], plain: ['sval'] },
  RowExpr: { walk: ['args'], plain: ['row_format'] },
  List: { walk: ['items'], plain: [] },
  SetToDefault: { walk: [], plain: [] },
  SortBy: { walk: ['node'], plain: ['sortby_dir', 'sortby_nulls'] },
  ResTarget: { walk: ['val', 'indirection'], plain: ['name'] },
  MultiAssignRef: { walk: ['source'], plain: ['colno', 'ncolumns'] },
  WindowDef: {
    walk: ['partitionClause', 'orderClause', 'startOffset', 'endOffset'],
    plain: ['name', 'refname', 'frameOptions'],
  },
  GroupingSet: { walk: ['content'], plain: ['kind'] },
  SQLValueFunction: { walk: [], plain: ['op', 'typmod'] },
  A_Expr: { walk: ['lexpr', 'rexpr'], plain: ['kind', 'name', 'rexpr_list_start', 'rexpr_list_end'] },
  TypeCast: { walk: ['arg'], plain: ['typeName'] },
  FuncCall: {
    walk: ['args', 'agg_order', 'agg_filter'],
    plain: ['funcname', 'over', 'agg_within_group', 'agg_star', 'agg_distinct', 'func_variadic', 'funcformat'],
  },
  SubLink: { walk: ['testexpr'], plain: ['subLinkType', 'operName', 'subselect'] },
};

function expression(node: unknown, walk: Walk): void {
  const [kind, body] = unwrap(node);
  const shape = CHILDREN[kind] ?? refuse('expression', kind);
  only(body, kind, ...shape.walk, ...shape.plain);
  inspect(kind, body, walk);
  for (const key of shape.walk) {
    const child = body[key];
    if (Array.isArray(child)) for (const part of child) expression(part, walk);
    else optional(child, walk);
  }
}

/** What a node means beyond its children. */
function inspect(kind: string, body: Node, walk: Walk): void {
  switch (kind) {
    case 'A_Expr':
      return operator(body, walk);
    case 'TypeCast':
      return typeName(body['typeName'] as Node);
    case 'FuncCall':
      return functionCall(body, walk);
    case 'SQLValueFunction':
      return VALUE_FUNCTIONS.has(String(body['op'])) ? undefined : refuse('function', String(body['op']));
    case 'SubLink':
      if (body['operName'] !== undefined) builtInOperator(body['operName']);
      return query(body['subselect'], walk);
    default:
      return undefined;
  }
}

function operator(body: Node, walk: Walk): void {
  const kind = String(body['kind']);
  if (!EXPRESSION_KINDS.has(kind)) refuse('operator', kind);
  builtInOperator(body['name']);
  const sides = [body['lexpr'], body['rexpr']].filter((side) => side !== undefined);
  const columns = sides.filter((side) => tenantColumn(side) !== undefined);
  if (columns.length === 0 || walk.demands.tables !== undefined) return;
  const equality = tenantEquality('A_Expr', body);
  if (equality !== undefined) walk.found.tenantParameters.add(equality.parameter);
  // Two tenant columns may be compared (a join); a tenant column and a literal, a list or a subquery may not.
  else if (columns.length !== 2) refuse('tenant_compared', kind);
}

function builtInOperator(name: unknown): void {
  const path = names(name);
  if (path.length > 1 && path[0] !== 'pg_catalog') refuse('operator', path.join('.'));
}

function typeName(type: Node): void {
  only(type, 'TypeName', 'names', 'typemod', 'typmods', 'arrayBounds');
  const path = names(type['names']);
  const known = path.length === 1 || (path.length === 2 && path[0] === 'pg_catalog');
  if (!known || !TYPES.has(path.at(-1)!)) refuse('type', path.join('.'));
}

function functionCall(body: Node, walk: Walk): void {
  const path = names(body['funcname']);
  const builtIn = path.length === 1 || (path.length === 2 && path[0] === 'pg_catalog');
  const last = path.at(-1)!;
  const system = walk.demands.tables !== undefined && SYSTEM_FUNCTIONS.has(last);
  const allowed = builtIn ? FUNCTIONS.has(last) || system : walk.demands.functions.has(path.join('.'));
  if (!allowed) refuse('function', path.join('.'));
  // `over` comes without its wrapper.
  if (body['over'] !== undefined) expression({ WindowDef: body['over'] }, walk);
}
