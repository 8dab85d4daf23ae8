import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import ts from 'typescript';

/** An audit entry that the code can write, found as `type: '<room>.<verb>'` in an object literal. */
export interface FoundEntry {
  readonly type: string;
  readonly file: string;
  /** Kind of the row it is about, where it stands in the same literal. */
  readonly resource: string | undefined;
}

interface Body {
  readonly file: string;
  readonly entries: FoundEntry[];
  /** Names of what the body calls or hands on as a value. */
  readonly mentions: Set<string>;
}

/** All named functions below app/, by name, and the other rooms that each file imports a name from. */
export interface AuditSource {
  readonly entries: readonly FoundEntry[];
  readonly bodies: ReadonlyMap<string, readonly Body[]>;
  /** `file name` -> folder of the room it comes from. */
  readonly imports: ReadonlyMap<string, string>;
  /** Places that make an entry of a type that is worked out in a way that this cannot follow. */
  readonly unread: readonly string[];
}

const TYPE = /^[a-z][a-z-]*(\.[a-z][a-z-]*)+$/;

/** Neither the browser, a contract nor a test writes entries of the house. */
const EXCLUDED = /\.test\.ts$|contract\.ts$|\/testing\/|testing\.ts$|^app\/(ui|shell)\//;

/** `const NAME = 'a.b'` at the top of a file. */
function namedTypes(files: readonly ts.SourceFile[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const statement of files.flatMap((file) => [...file.statements])) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (ts.isIdentifier(name) && initializer !== undefined && ts.isStringLiteral(initializer))
        found.set(name.text, initializer.text);
    }
  }
  return found;
}

/** What a function of the same file may return. */
function returnsOf(call: ts.CallExpression): ts.Expression[] {
  const name = call.expression.getText();
  const found: ts.Expression[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isReturnStatement(node) && node.expression !== undefined) found.push(node.expression);
    ts.forEachChild(node, visit);
  };
  for (const statement of call.getSourceFile().statements)
    if (ts.isFunctionDeclaration(statement) && statement.name?.text === name) visit(statement);
  return found;
}

/** The types that an expression may have: a literal, a named constant, either side of a choice, a function's returns. */
function typesOf(expression: ts.Expression, named: ReadonlyMap<string, string>): string[] {
  if (ts.isConditionalExpression(expression))
    return [expression.whenTrue, expression.whenFalse].flatMap((side) => typesOf(side, named));
  if (ts.isCallExpression(expression)) return returnsOf(expression).flatMap((returned) => typesOf(returned, named));
  const text = ts.isStringLiteral(expression)
    ? expression.text
    : ts.isIdentifier(expression)
      ? named.get(expression.text)
      : undefined;
  return text !== undefined && TYPE.test(text) ? [text] : [];
}

function propertyOf(literal: ts.ObjectLiteralExpression, wanted: string): ts.Expression | undefined {
  for (const property of literal.properties) {
    if (ts.isPropertyAssignment(property) && property.name.getText() === wanted) return property.initializer;
  }
  return undefined;
}

function entriesIn(literal: ts.ObjectLiteralExpression, named: ReadonlyMap<string, string>): FoundEntry[] {
  const type = propertyOf(literal, 'type');
  if (type === undefined) return [];
  const resource = propertyOf(literal, 'resource');
  const first = resource !== undefined && ts.isArrayLiteralExpression(resource) ? resource.elements[0] : undefined;
  return typesOf(type, named).map((found) => ({
    type: found,
    file: literal.getSourceFile().fileName,
    resource: first !== undefined && ts.isStringLiteral(first) ? first.text : undefined,
  }));
}

/** An entry whose type is computed here, and not handed in by somebody else, must be readable. */
function unreadIn(file: ts.SourceFile, named: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isObjectLiteralExpression(node)) {
      const [type, outcome] = [propertyOf(node, 'type'), propertyOf(node, 'outcome')];
      const computed = type !== undefined && (ts.isCallExpression(type) || ts.isTemplateExpression(type));
      if (computed && outcome !== undefined && typesOf(type, named).length === 0)
        found.push(`${file.fileName}: ${type.getText()}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** The name by which others call what `node` declares. */
function declaredName(node: ts.Node): string | undefined {
  if (ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node)) return node.name?.getText();
  if (ts.isVariableDeclaration(node) || ts.isPropertyAssignment(node)) {
    const value = node.initializer;
    // `const send = sender(deps)` is a function too, made by the one it calls.
    const callable =
      value !== undefined &&
      (ts.isArrowFunction(value) ||
        ts.isFunctionExpression(value) ||
        (ts.isVariableDeclaration(node) && ts.isCallExpression(value)));
    return callable ? node.name.getText() : undefined;
  }
  return undefined;
}

/** Whether `node` is called, or handed on to somebody who may call it. */
function mayRun(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isCallExpression(parent)) return true;
  if (ts.isPropertyAccessExpression(parent) && parent.name === node)
    return ts.isCallExpression(parent.parent) && parent.parent.expression === parent;
  return (ts.isPropertyAssignment(parent) && parent.initializer === node) || ts.isShorthandPropertyAssignment(parent);
}

function importsOf(file: ts.SourceFile): [string, string][] {
  return file.statements.flatMap((statement): [string, string][] => {
    if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) return [];
    const from = statement.moduleSpecifier.text;
    const named = statement.importClause?.namedBindings;
    if (!from.startsWith('.') || named === undefined || !ts.isNamedImports(named)) return [];
    return named.elements.map(({ name }) => [
      `${file.fileName} ${name.text}`,
      dirname(normalize(join(dirname(file.fileName), from))),
    ]);
  });
}

function collect(file: ts.SourceFile, named: ReadonlyMap<string, string>): Map<string, Body[]> {
  const bodies = new Map<string, Body[]>();
  const visit = (node: ts.Node, around: readonly Body[]): void => {
    let inside = around;
    const name = declaredName(node);
    if (name !== undefined) {
      const body: Body = { file: file.fileName, entries: [], mentions: new Set() };
      bodies.set(name, [...(bodies.get(name) ?? []), body]);
      inside = [...around, body];
    }
    if (ts.isIdentifier(node) && mayRun(node)) for (const body of inside) body.mentions.add(node.text);
    if (ts.isObjectLiteralExpression(node))
      for (const entry of entriesIn(node, named)) for (const body of inside) body.entries.push(entry);
    ts.forEachChild(node, (child) => visit(child, inside));
  };
  visit(file, []);
  return bodies;
}

/** Reads the product's sources. Only the syntax is looked at; `unread` has what it cannot tell. */
export function readAuditSource(root: string): AuditSource {
  const paths = globSync('app/**/*.ts', { cwd: root })
    .filter((path) => !EXCLUDED.test(path))
    .sort();
  const files = paths.map((path) =>
    ts.createSourceFile(path, readFileSync(join(root, path), 'utf8'), ts.ScriptTarget.ESNext, true),
  );
  const named = namedTypes(files);
  const bodies = new Map<string, Body[]>();
  for (const [name, found] of files.flatMap((file) => [...collect(file, named)]))
    bodies.set(name, [...(bodies.get(name) ?? []), ...found]);
  const entries = new Map<string, FoundEntry>();
  for (const entry of [...bodies.values()].flat().flatMap((body) => body.entries))
    entries.set(`${entry.type} ${entry.file} ${entry.resource ?? ''}`, entry);
  return {
    entries: [...entries.values()].sort((a, b) => (a.type < b.type ? -1 : 1)),
    bodies,
    imports: new Map(files.flatMap(importsOf)),
    unread: files.flatMap((file) => unreadIn(file, named)),
  };
}

/**
 * The entries that `key` of the routes in `folder` may write: all that is reachable by names, in the room and in those
 * it imports from. More than what really runs is possible (two functions of one name), so that this finds routes which
 * cannot write an entry; that a row never changes without its entry is enforced by the database.
 */
export function reachableEntries(source: AuditSource, { folder, key }: { folder: string; key: string }): string[] {
  const start = (source.bodies.get(key) ?? []).filter(
    ({ file }) => dirname(file) === folder && file.endsWith('routes.ts'),
  );
  const seen = new Set<Body>(start);
  const queue = [...start];
  for (let body = queue.pop(); body !== undefined; body = queue.pop()) {
    for (const name of body.mentions) {
      const room = source.imports.get(`${body.file} ${name}`) ?? dirname(body.file);
      for (const next of (source.bodies.get(name) ?? []).filter(({ file }) => dirname(file) === room)) {
        if (!seen.has(next)) queue.push(next);
        seen.add(next);
      }
    }
  }
  return [...new Set([...seen].flatMap(({ entries }) => entries.map(({ type }) => type)))].sort();
}
