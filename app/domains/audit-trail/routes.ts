import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { routes } from './contract.ts';
import { trailExporter } from './exporting.ts';
import { linesExporter, linesPreview } from './exporting-lines.ts';
import type { AuditTrailDeps } from './ports.ts';
import { trailReader } from './reading.ts';
import { filterFrom } from './searching.ts';

/** The room's handlers. The id gate leaves an absent place out, hence the partial ids. */
export function auditTrailRoutes(deps: AuditTrailDeps): RoomRoutes {
  const reader = trailReader(deps);
  const preview = linesPreview(deps);
  const exportLines = linesExporter(deps);
  const exportTrail = trailExporter(deps);
  return bindRoutes(routes, {
    list: async (call) => {
      const { cursor: _cursor, limit, person: _person, ...asked } = call.query;
      const { 'query.cursor': cursor, 'query.person': person } = call.ids as Partial<typeof call.ids>;
      return {
        status: 200 as const,
        body: await reader.list(call, { cursor, limit, filter: filterFrom(asked, person) }),
      };
    },
    entry: async (call) => ({ status: 200 as const, body: await reader.entry(call, call.ids['params.entryId']) }),
    proof: async (call) => ({ status: 200 as const, body: await reader.proof(call, call.ids['params.entryId']) }),
    checkpoint: async (call) => ({ status: 200 as const, body: await reader.checkpoint(call) }),
    consistency: async (call) => ({ status: 200 as const, body: await reader.consistency(call, call.query.from) }),
    leaves: async (call) => ({ status: 200 as const, body: await reader.leaves(call, call.query) }),
    rangeProof: async (call) => ({ status: 200 as const, body: await reader.rangeProof(call, call.query) }),
    preview: async (call) => {
      const { person: _person, ...filter } = call.query;
      const { 'query.person': person } = call.ids as Partial<typeof call.ids>;
      return { status: 200 as const, body: await preview(call, { filter, person }) };
    },
    exportLines: async (call) => {
      const { format, upTo, person: _person, ...filter } = call.body;
      const { 'body.person': person } = call.ids as Partial<typeof call.ids>;
      const file = await exportLines(call, { format, filter, person, upTo, asked: call.body });
      return {
        status: 200 as const,
        body: file.content,
        headers: {
          'content-type': file.type,
          'content-disposition': `attachment; filename="${file.fileName}"`,
          'x-content-type-options': 'nosniff',
        },
      };
    },
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
