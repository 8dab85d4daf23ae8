import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import type { Claim, Enforcer } from './model.ts';
import { allClaims, probedClaims } from './register.ts';

const ROOT = new URL('../../', import.meta.url);

function sourceOf(file: string): string | undefined {
  const path = fileURLToPath(new URL(file, ROOT));
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

function isExported(node: ts.Statement): boolean {
  return (
    ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some((one) => one.kind === ts.SyntaxKind.ExportKeyword)
  );
}

/** Values that a module itself exports: types and re-exports enforce nothing. */
function exportedValues(source: string): Set<string> {
  const names = new Set<string>();
  for (const node of ts.createSourceFile('enforcer.ts', source, ts.ScriptTarget.ESNext).statements) {
    if (!isExported(node)) continue;
    if ((ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node)) && node.name !== undefined)
      names.add(node.name.text);
    if (ts.isVariableStatement(node))
      for (const one of node.declarationList.declarations) if (ts.isIdentifier(one.name)) names.add(one.name.text);
  }
  return names;
}

/** Functions, policies, tables, roles and triggers that a migration creates, comments aside. */
function createdNames(source: string): Set<string> {
  const bare = source.replaceAll(/--[^\n]*/g, '');
  const pattern =
    /create\s+(?:or\s+replace\s+)?(?:constraint\s+)?(?:function|policy|table|role|trigger)\s+(?:if\s+not\s+exists\s+)?([a-z_][a-z0-9_.]*)/gi;
  return new Set([...bare.matchAll(pattern)].map(([, name]) => name!.toLowerCase()));
}

function faultOf(claim: Claim, enforcer: Enforcer): string | undefined {
  const source = sourceOf(enforcer.file);
  const sentence = `"${claim.sentence}" (${claim.id})`;
  if (source === undefined) return `${sentence} has lost its enforcer: there is no ${enforcer.file}`;
  const names = enforcer.file.endsWith('.sql') ? createdNames(source) : exportedValues(source);
  return names.has(enforcer.export)
    ? undefined
    : `${sentence} has lost its enforcer: ${enforcer.file} does not make ${enforcer.export}`;
}

describe('the enforcers of the claims', () => {
  it('E1: are all there; a sentence that lost one is named', () => {
    expect(
      allClaims.flatMap((claim) =>
        claim.enforcers.map((one) => faultOf(claim, one)).filter((fault) => fault !== undefined),
      ),
    ).toEqual([]);
  });

  it('E2: the check sees a file and an export that are gone', () => {
    const claim = allClaims.find((one) => one.id === 'page.source-of-truth')!;
    const [first] = claim.enforcers;
    expect(faultOf(claim, { ...first!, export: 'isGone' })).toContain(claim.sentence);
    expect(faultOf(claim, { ...first!, file: 'app/gone.ts' })).toContain(claim.sentence);
    expect(exportedValues('export type A = 1; export interface B {} const c = 1; export { c as d };').size).toBe(0);
    expect(
      createdNames('-- create function app.ghost()\ncreate or replace function App.real() returns void').has(
        'app.ghost',
      ),
    ).toBe(false);
  });

  it('E3: every claim that a probe decides names at least one that it cannot hold without', () => {
    expect(
      probedClaims.filter((claim) => !claim.enforcers.some((one) => one.necessary)).map((claim) => claim.id),
    ).toEqual([]);
  });

  it('E4: a module named as answering for a claim with enforcers is there', () => {
    const missing = allClaims.filter(
      (claim) => claim.enforcers.length > 0 && !existsSync(fileURLToPath(new URL(claim.module, ROOT))),
    );
    expect(missing.map((claim) => claim.id)).toEqual([]);
  });
});
