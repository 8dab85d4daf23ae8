import type { RightsScope } from '@auditrax/tenancy/shape';

/** Names of the schemas that hold one tenant's copy of the tables of `app`. */
export const COPY_SCHEMAS = '^t_[0-9a-f]{16}$';

/** What the role of such a tenant has like the workspace's role: all but the tables of `app`, which it has in its own. */
export const BESIDE_COPIES: RightsScope = { relationsNotIn: '^(app|t_[0-9a-f]{16})$', schemasNot: COPY_SCHEMAS };

/** In a cell the role stands where the workspace's role stands, everywhere. */
export const WHOLE_CELL: RightsScope = { relationsNotIn: COPY_SCHEMAS, schemasNot: COPY_SCHEMAS };
