import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { confirmer } from '../access/index.ts';
import { routes } from './contract.ts';
import type { TransmitterDeps } from './deps.ts';
import { createStream, prepareKey, removeStream, renewToken, resendLetter, sendTest, turnStream } from './streams.ts';
import { LETTERS_MAX, listLetters, listStreams, signalSubjects } from './view.ts';

/** The administrator's side of shared signals, as routes of the issuer. */
export function signalStreamRoutes(deps: TransmitterDeps): RoomRoutes {
  const confirm = confirmer({ subjects: signalSubjects(deps) });
  return bindRoutes(routes, {
    async list({ caller }) {
      return { status: 200 as const, body: await listStreams(deps, caller.tenant) };
    },
    async create(call) {
      const who = await confirm(call, 'signals.create', { input: call.body });
      const { id, token } = await createStream(deps, who, call.body);
      return { status: 201 as const, body: { id: deps.formatId('sgs', call.caller.tenant, id), token } };
    },
    async turn(call) {
      const id = call.ids['params.signalStreamId'];
      const input = { ...call.params, ...call.body };
      const who = await confirm(call, 'signals.turn', { input, ids: { signalStreamId: id } });
      await turnStream(deps, who, { id, to: call.body.to });
      return { status: 200 as const, body: { id: call.params.signalStreamId } };
    },
    async remove(call) {
      const id = call.ids['params.signalStreamId'];
      const who = await confirm(call, 'signals.remove', { input: call.params, ids: { signalStreamId: id } });
      await removeStream(deps, who, id);
      return { status: 200 as const, body: { removed: true as const } };
    },
    async renewToken(call) {
      const id = call.ids['params.signalStreamId'];
      const who = await confirm(call, 'signals.renew-token', { input: call.params, ids: { signalStreamId: id } });
      return { status: 200 as const, body: { token: await renewToken(deps, who, id) } };
    },
    async test(call) {
      await sendTest(deps, { caller: call.caller, requestId: call.requestId }, call.ids['params.signalStreamId']);
      return { status: 200 as const, body: { id: call.params.signalStreamId } };
    },
    async letters({ caller, ids }) {
      const letters = await listLetters(deps, caller.tenant, ids['params.signalStreamId']);
      return { status: 200 as const, body: { letters, lettersMax: LETTERS_MAX } };
    },
    async resend(call) {
      const of = { streamId: call.ids['params.signalStreamId'], id: call.ids['params.letterId'] };
      await resendLetter(deps, { caller: call.caller, requestId: call.requestId }, of);
      return { status: 200 as const, body: { id: call.params.letterId } };
    },
    async prepareKey(call) {
      const who = await confirm(call, 'signals.prepare-key', { input: call.body });
      return { status: 200 as const, body: { prepared: await prepareKey(deps, who) } };
    },
  });
}
