import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { routes } from './contract.ts';
import { trailExporter } from './exporting.ts';
import type { AuditTrailDeps } from './ports.ts';
import { trailReader } from './reading.ts';

/** The room's handlers. */
export function auditTrailRoutes(deps: AuditTrailDeps): RoomRoutes {
  const reader = trailReader(deps);
  const exportTrail = trailExporter(deps);
  return bindRoutes(routes, {
    list: async (call) => {
      const { cursor, limit, type, outcome } = call.query;
      // The id gate leaves an absent place out.
      const person = call.ids['query.person'] as (typeof call.ids)['query.person'] | undefined;
      return {
        status: 200 as const,
        body: await reader.list(call, { cursor, limit, filter: { type, person, outcome } }),
      };
    },
    entry: async (call) => ({ status: 200 as const, body: await reader.entry(call, call.ids['params.entryId']) }),
    proof: async (call) => ({ status: 200 as const, body: await reader.proof(call, call.ids['params.entryId']) }),
    checkpoint: async (call) => ({ status: 200 as const, body: await reader.checkpoint(call) }),
    consistency: async (call) => ({ status: 200 as const, body: await reader.consistency(call, call.query.from) }),
    export: async (call) => {
      const { zip, fileName } = await exportTrail(call, call.body);
      return {
        status: 200 as const,
        body: zip,
        headers: {
          'content-type': 'application/zip',
          'content-length': String(zip.length),
          'content-disposition': `attachment; filename="${fileName}"`,
          'x-content-type-options': 'nosniff',
        },
      };
    },
  });
}
