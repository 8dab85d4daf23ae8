export function checkSupplyChain(root: string, write?: boolean): string[];
export function bannedVersions(lock: unknown, banned: unknown): { name: string; version: string; reason: string }[];
export function licenceFindings(lock: unknown): { name: string; licence: string }[];
export function dependencyFindings(manifest: unknown, reasons: string): string[];
export interface Component {
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly hashes: readonly { readonly alg: string; readonly content: string }[];
}
export function billOfMaterials(
  manifest: unknown,
  lock: unknown,
): { bomFormat: string; specVersion: string; version: number; components: Component[] };
