export function checkSupplyChain(root: string, write?: boolean): string[];
export function bannedVersions(lock: unknown, banned: unknown): { name: string; version: string; reason: string }[];
export function licenceFindings(lock: unknown): { name: string; licence: string }[];
export function dependencyFindings(manifest: unknown, reasons: string): string[];
