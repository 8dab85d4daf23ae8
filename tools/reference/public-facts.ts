import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** Neither the browser, a contract nor a test writes entries of the house. */
const EXCLUDED = /\.test\.ts$|contract\.ts$|\/testing\/|testing\.ts$|^app\/(ui|shell|claims)\//;

/** A public fact as the code names it, and facts that come from elsewhere in a way that this cannot follow. */
export interface FoundFacts {
  /** Name to the files that write it. */
  readonly names: ReadonlyMap<string, ReadonlySet<string>>;
  /** Names of what the code withholds: `disclosures`, and `values` about a person. */
  readonly withheld: ReadonlySet<string>;
  /** `file: expression`, each to be explained by whoever reads it. */
  readonly unread: readonly string[];
}

/** What a name stands for in its own file: variables with an initializer, and what functions return. */
function meaningsIn(file: ts.SourceFile): Map<string, ts.Expression[]> {
  const found = new Map<string, ts.Expression[]>();
  const add = (name: string, value: ts.Expression) => found.set(name, [...(found.get(name) ?? []), value]);
  const returns = (name: string, node: ts.Node): void => {
    if (ts.isReturnStatement(node) && node.expression !== undefined) add(name, node.expression);
    ts.forEachChild(node, (child) => returns(name, child));
  };
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionDeclaration(node) && node.name !== undefined && node.body !== undefined)
      returns(node.name.text, node.body);
    if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name) && node.initializer !== undefined)
      add(node.name.text, node.initializer);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

interface Reading {
  readonly file: ts.SourceFile;
  readonly meanings: ReadonlyMap<string, ts.Expression[]>;
  readonly onName: (name: string) => void;
  readonly onUnread: (expression: string) => void;
}

function readFacts(expression: ts.Expression, reading: Reading, deep = 0): void {
  const again = (next: ts.Expression) => readFacts(next, reading, deep + 1);
  if (ts.isParenthesizedExpression(expression) || ts.isAsExpression(expression) || ts.isSatisfiesExpression(expression))
    return again(expression.expression);
  if (ts.isConditionalExpression(expression)) return [expression.whenTrue, expression.whenFalse].forEach(again);
  if (ts.isObjectLiteralExpression(expression)) {
    for (const property of expression.properties) {
      if (ts.isSpreadAssignment(property)) again(property.expression);
      else if (property.name !== undefined && !ts.isComputedPropertyName(property.name))
        reading.onName(property.name.getText().replaceAll("'", ''));
      else reading.onUnread(property.getText());
    }
    return;
  }
  const called = ts.isCallExpression(expression) ? expression.expression : expression;
  const meant = ts.isIdentifier(called) ? reading.meanings.get(called.text) : undefined;
  if (meant === undefined || deep > 6) reading.onUnread(expression.getText());
  else meant.forEach(again);
}

/** Every name under which the code writes a public fact: each value of a property `public` outside types. */
export function findPublicFacts(root: string): FoundFacts {
  const names = new Map<string, Set<string>>();
  const withheld = new Set<string>();
  const unread = new Set<string>();
  for (const path of globSync('app/**/*.ts', { cwd: root }).sort()) {
    if (EXCLUDED.test(path)) continue;
    const text = readFileSync(join(root, path), 'utf8');
    if (!/public|disclosures|personal/.test(text)) continue;
    const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
    const reading: Reading = {
      file,
      meanings: meaningsIn(file),
      onName: (name) => names.set(name, (names.get(name) ?? new Set()).add(path)),
      onUnread: (expression) => unread.add(`${path}: ${expression.replaceAll(/\s+/g, ' ')}`),
    };
    const hidden: Reading = { ...reading, onName: (name) => withheld.add(name), onUnread: () => undefined };
    const visit = (node: ts.Node): void => {
      const name = ts.isPropertyAssignment(node) ? node.name.getText() : '';
      if (ts.isPropertyAssignment(node) && name === 'public') readFacts(node.initializer, reading);
      if (ts.isPropertyAssignment(node) && name === 'disclosures') readFacts(node.initializer, hidden);
      if (ts.isPropertyAssignment(node) && name === 'personal' && ts.isObjectLiteralExpression(node.initializer))
        node.initializer.properties.filter(ts.isPropertyAssignment).forEach((property) => {
          if (property.name.getText() === 'values') readFacts(property.initializer, hidden);
        });
      ts.forEachChild(node, visit);
    };
    visit(file);
  }
  return { names, withheld, unread: [...unread] };
}
