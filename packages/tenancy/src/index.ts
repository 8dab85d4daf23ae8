export type * from './context.ts';
export type { ScopedTransaction, TenantDoor } from './driver.ts';
export { refusalLayer, TenancyError, type RefusalLayer, type TenancyCode } from './errors.ts';
export { checkParameters, checkStatement, type Decision, type RefusalReason } from './guard.ts';
export {
  formatId,
  ID_PATTERN,
  idKeys,
  idPattern,
  parseId,
  type IdKey,
  type IdKeys,
  type ParsedId,
  type TaggedId,
} from './ids.ts';
export { openDatabase, type Database, type DatabaseOptions } from './open.ts';
export type { Place, PlaceSource } from './place.ts';
export { openPlacedDatabase, type PlacedDatabaseOptions } from './placed.ts';
export {
  CONNECTION_FAILED_CHANNEL,
  IDLE_TRANSACTION_TIMEOUT_MS,
  LOCK_TIMEOUT_MS,
  STATEMENT_TIMEOUT_MS,
  type Connection,
} from './pool.ts';
export { checkPosture, type Finding, type FindingCode, type PostureExpectations } from './posture.ts';
export type { Refusal } from './refusal.ts';
export { sql } from './sql.ts';
export type { Cell, CellDoor, PlacedSystemDoor, SystemDoor, SystemTransaction } from './system.ts';
export { wallCondition, wallDeparsed, wallStatements, type WallForm } from './wall.ts';
