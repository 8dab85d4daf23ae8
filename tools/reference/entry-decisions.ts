import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** Neither the browser, a contract nor a test writes entries of the house. */
const EXCLUDED = /\.test\.ts$|contract\.ts$|\/testing\/|testing\.ts$|^app\/(ui|shell|claims)\//;
const TYPE = /^[a-z][a-z-]*(\.[a-z][a-z-]*)+$/;
/** What a decision comes from: the call itself, or whoever was handed it. */
const SOURCE = /\b(auditFromCall|auditOf|decisionOf|decision|ChangeFacts)\b/;
/** Names resolved within one file; deeper is nobody's reading. */
const DEPTH_MAX = 4;

/** Whether an entry says which rules allowed it, wherever the code makes one of that type. */
export interface EntryDecision {
  readonly type: string;
  readonly file: string;
  readonly hasDecision: boolean;
}

function namesIn(file: ts.SourceFile): Map<string, ts.Node[]> {
  const found = new Map<string, ts.Node[]>();
  const add = (name: string, meant: ts.Node) => found.set(name, [...(found.get(name) ?? []), meant]);
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionDeclaration(node) && node.name !== undefined) add(node.name.text, node);
    if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name) && node.initializer !== undefined)
      add(node.name.text, node.initializer);
    if (ts.isVariableDeclaration(node) && ts.isObjectBindingPattern(node.name) && node.initializer !== undefined)
      for (const { name } of node.name.elements) if (ts.isIdentifier(name)) add(name.text, node.initializer);
    if (ts.isParameter(node) && ts.isIdentifier(node.name) && node.type !== undefined) add(node.name.text, node.type);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function comesFromCall(node: ts.Node, names: ReadonlyMap<string, readonly ts.Node[]>, deep = 0): boolean {
  if (SOURCE.test(node.getText())) return true;
  if (deep >= DEPTH_MAX) return false;
  let found = false;
  const visit = (child: ts.Node): void => {
    const meanings = ts.isIdentifier(child) ? (names.get(child.text) ?? []) : [];
    found ||= meanings.some((meant) => meant !== node && comesFromCall(meant, names, deep + 1));
    if (!found) ts.forEachChild(child, visit);
  };
  visit(node);
  return found;
}

function typesIn(expression: ts.Expression): string[] {
  if (ts.isConditionalExpression(expression)) return [expression.whenTrue, expression.whenFalse].flatMap(typesIn);
  return ts.isStringLiteral(expression) && TYPE.test(expression.text) ? [expression.text] : [];
}

/** The entries that are made here, by type and file. Syntax only: what is spread in is followed within its file. */
export function findEntryDecisions(root: string): EntryDecision[] {
  const found: EntryDecision[] = [];
  for (const path of globSync('app/**/*.ts', { cwd: root }).sort()) {
    if (EXCLUDED.test(path)) continue;
    const file = ts.createSourceFile(path, readFileSync(join(root, path), 'utf8'), ts.ScriptTarget.Latest, true);
    const names = namesIn(file);
    const visit = (node: ts.Node): void => {
      if (ts.isObjectLiteralExpression(node)) {
        const own = node.properties.filter(ts.isPropertyAssignment);
        const property = (name: string) => own.find((one) => one.name.getText() === name);
        const isEntry = property('resource') !== undefined || property('outcome') !== undefined;
        const given = node.properties.filter(
          (one) => ts.isSpreadAssignment(one) || one === property('decision') || one === property('tokenHash'),
        );
        // An entry may be handed, in part, to a function that puts in the rest.
        const makers = ts.isCallExpression(node.parent) ? (names.get(node.parent.expression.getText()) ?? []) : [];
        const spreads = node.properties.some(ts.isSpreadAssignment);
        const from = [...given, ...makers];
        if (isEntry || spreads || makers.length > 0)
          for (const type of property('type') === undefined ? [] : typesIn(property('type')!.initializer))
            found.push({ type, file: path, hasDecision: from.some((one) => comesFromCall(one, names)) });
      }
      ts.forEachChild(node, visit);
    };
    visit(file);
  }
  return found;
}
