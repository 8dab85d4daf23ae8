import { AppError } from '@auditrax/base';

/** What can go wrong while PostgreSQL is launched, prepared, migrated or watched. Each message says what to do. */
export type DatabaseCode =
  | 'platform_unsupported'
  | 'socket_path_too_long'
  | 'state_directory_unreachable'
  | 'state_directory_foreign'
  | 'postgres_user_unknown'
  | 'postgres_init_failed'
  | 'postgres_start_failed'
  | 'postgres_stop_failed'
  | 'database_url_invalid'
  | 'database_url_insecure'
  | 'roles_failed'
  | 'migration_invalid'
  | 'migration_changed'
  | 'migration_out_of_order'
  | 'migration_database_newer'
  | 'migration_failed'
  | 'relocation_failed'
  | 'migration_placement_behind'
  | 'region_unknown'
  | 'place_refused'
  | 'place_failed'
  | 'relocation_unfinished'
  | 'posture_red'
  | 'disk_full';

/** Shorthand that keeps the code inside the closed union. */
export function databaseError(code: DatabaseCode, message: string, cause?: unknown): AppError<DatabaseCode> {
  return new AppError<DatabaseCode>(code, message, cause === undefined ? {} : { cause });
}
