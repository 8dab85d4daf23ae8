import type { Uuid } from '@auditrax/base';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { routes } from './contract.ts';
import { downloadHeaders } from './file-name.ts';
import type { EvidenceService } from './service.ts';

/** A decimal count without sign or blanks; anything else is as if it were not given (the stream's end tells the truth). */
function contentLength(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}

/** The room's handlers: request parts in, reply out; every rule is in the service. */
export function evidenceRoutes(service: EvidenceService): RoomRoutes {
  return bindRoutes(routes, {
    startUpload: async (call) => {
      const { sha256, notACard } = call.body;
      const ids = { engagementId: call.ids['params.engagementId'], criterionId: call.ids['body.criterionId'] };
      return { status: 201, body: await service.start(call, { ...call.body, ...ids, sha256, notACard }) };
    },
    writePart: async (call) => ({
      status: 200,
      body: await service.writePart(call, {
        uploadId: call.ids['params.uploadId'],
        offset: call.query.offset,
        source: call.body,
        contentLength_bytes: contentLength(call.headers['content-length']),
      }),
    }),
    position: async (call) => ({ status: 200, body: await service.position(call, call.ids['params.uploadId']) }),
    complete: async (call) => ({ status: 201, body: await service.complete(call, call.ids['params.uploadId']) }),
    abort: async (call) => {
      await service.abort(call, call.ids['params.uploadId']);
      return { status: 200, body: { aborted: true } };
    },
    list: async (call) => {
      // The id gate leaves an absent place out.
      const ids = call.ids as Partial<Record<keyof typeof call.ids, Uuid>>;
      const page = {
        engagementId: call.ids['params.engagementId'],
        criterionId: ids['query.criterionId'],
        before: ids['query.cursor'],
        limit: call.query.limit,
      };
      return { status: 200, body: await service.list(call, page) };
    },
    download: async (call) => {
      const file = await service.download(call, call.ids['params.evidenceId']);
      return { status: 200, body: file.content, headers: downloadHeaders(file) };
    },
  });
}
