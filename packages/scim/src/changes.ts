import { isBranch, isList, isSame, type Branch, type Node, type ScimResource } from './resource.ts';

/** What one message changed. Values are the provider's content: seal them, or leave them out of logs. */
export type Change =
  | { readonly path: string; readonly before: Node | undefined; readonly after: Node | undefined }
  | { readonly path: string; readonly added: readonly Branch[]; readonly removed: readonly Branch[] };

function listChange(path: string, before: readonly Branch[], after: readonly Branch[]): Change {
  const key = (value: Branch): string => JSON.stringify(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  const [old, young] = [new Set(before.map(key)), new Set(after.map(key))];
  return {
    path,
    added: after.filter((value) => !old.has(key(value))),
    removed: before.filter((value) => !young.has(key(value))),
  };
}

/** P14: the difference of two resources: parts of complex values by themselves, lists by what came and went. */
export function changesBetween(before: ScimResource, after: ScimResource, prefix = ''): readonly Change[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name): readonly Change[] => {
    const [old, young] = [before[name], after[name]];
    const path = `${prefix}${name}`;
    if (isSame(old, young)) return [];
    if (isList(old) || isList(young)) return [listChange(path, isList(old) ? old : [], isList(young) ? young : [])];
    if (isBranch(old) || isBranch(young)) {
      const separator = name.startsWith('urn:') ? ':' : '.';
      const [from, to] = [isBranch(old) ? old : {}, isBranch(young) ? young : {}];
      return changesBetween(from, to, `${path}${separator}`);
    }
    return [{ path, before: old, after: young }];
  });
}
