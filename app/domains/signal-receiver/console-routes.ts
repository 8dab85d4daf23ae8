import type { Json, Uuid } from '@auditrax/base';
import { bindRoutes, type Call, type RoomRoutes } from '../../platform/http/handler.ts';
import { confirmer, type StepUpSubjects } from '../access/index.ts';
import { connectionFacts } from '../connections/index.ts';
import { consoleRoutes } from './console-contract.ts';
import type { SignalReceiverDeps } from './deps.ts';
import { notFound } from './errors.ts';
import * as queries from './queries.ts';
import {
  beginStream,
  decideHeld,
  pushAddress,
  renewAuthorization,
  setUpByHand,
  setUpManaged,
  turnStream,
  type Asker,
} from './setup.ts';
import { createVerifyNow } from './verifying.ts';
import { readSignals } from './view.ts';

interface ConfirmedCall extends Pick<Call, 'caller' | 'requestId' | 'stepUp'> {
  readonly params: object;
  readonly body: object | undefined;
  readonly ids: Readonly<Record<string, Uuid>>;
}

type Subject = StepUpSubjects[string];
type SubjectDeps = Parameters<typeof connectionFacts>[0] & Pick<SignalReceiverDeps, 'sealer'>;

/** Beside the connection: the stream as it stands. */
function streamFacts(deps: SubjectDeps): Subject {
  const connection = connectionFacts(deps);
  return async (question) => {
    const { caller, ids } = question;
    const facts = await connection(question);
    const id = ids['receivedStreamId'];
    const [row] =
      id === undefined ? [] : await deps.tenant.scoped(caller.tenant, queries.streamById(caller.tenant, id));
    if (row === undefined || row.connection_id !== ids['connectionId']) throw notFound();
    return { name: facts['name']!, delivery: row.delivery, state: row.state, version: row.version };
  };
}

/** And whom a suspension that waits is about. */
function heldFacts(deps: SubjectDeps): Subject {
  const stream = streamFacts(deps);
  return async (question) => {
    const { caller, ids } = question;
    const facts = await stream(question);
    const id = ids['receivedEventId'];
    const [row] = id === undefined ? [] : await deps.tenant.scoped(caller.tenant, queries.eventById(caller.tenant, id));
    if (row === undefined || row.stream_id !== ids['receivedStreamId'] || row.member_id === null) throw notFound();
    const [member] = await deps.tenant.scoped(caller.tenant, queries.memberLabels(caller.tenant, [row.member_id]));
    if (member === undefined) throw notFound();
    const value = { field: 'identity.member.label' as const, rowId: member.id, sealed: member.label };
    const [person] = await deps.sealer.openNames({ context: caller.tenant, values: [value] });
    return { name: facts['name']!, person: person!, state: row.state, receivedAt: row.received_at.toISOString() };
  };
}

/** What stands in the database when somebody approves something of a stream. */
export function receiverSubjects(deps: SubjectDeps): StepUpSubjects {
  const stream = streamFacts(deps);
  return {
    'signal-receiver.begin': connectionFacts(deps),
    'signal-receiver.set-up': stream,
    'signal-receiver.connect': stream,
    'signal-receiver.renew': stream,
    'signal-receiver.turn': stream,
    'signal-receiver.decide': heldFacts(deps),
  };
}

function confirming(deps: SignalReceiverDeps) {
  const confirm = confirmer({ subjects: receiverSubjects(deps) });
  return async (call: ConfirmedCall, operation: string): Promise<Asker> => {
    const input = { ...call.params, ...call.body } as Readonly<Record<string, Json>>;
    const ids = Object.fromEntries(Object.entries(call.ids).map(([place, id]) => [place.replace('params.', ''), id]));
    return confirm(call, operation, { input, ids });
  };
}

const which = ({ ids }: { readonly ids: { 'params.connectionId': Uuid; 'params.receivedStreamId': Uuid } }) => ({
  connectionId: ids['params.connectionId'],
  streamId: ids['params.receivedStreamId'],
});

/** The administrator's side of signals, as routes of the issuer. */
export function signalConsole(deps: SignalReceiverDeps): RoomRoutes {
  const confirmed = confirming(deps);
  const verifyNow = createVerifyNow(deps);
  return bindRoutes(consoleRoutes, {
    async read({ caller, ids }) {
      return { status: 200 as const, body: await readSignals(deps, { caller }, ids['params.connectionId']) };
    },
    async begin(call) {
      const who = await confirmed(call, 'signal-receiver.begin');
      const { delivery } = call.body;
      const connectionId = call.ids['params.connectionId'];
      const { id, authorization } = await beginStream(deps, who, { connectionId, delivery });
      const address = delivery === 'push' ? pushAddress(deps, id) : null;
      const shown = deps.formatId('sst', call.caller.tenant, id);
      return { status: 201 as const, body: { id: shown, address, authorization } };
    },
    async setUp(call) {
      const who = await confirmed(call, 'signal-receiver.set-up');
      const { theirStream: streamId, ...given } = call.body;
      await setUpByHand(deps, who, { ...which(call), given: { ...given, streamId } });
      return { status: 200 as const, body: { id: call.params.receivedStreamId } };
    },
    async connect(call) {
      const who = await confirmed(call, 'signal-receiver.connect');
      await setUpManaged(deps, who, { ...which(call), given: call.body });
      return { status: 200 as const, body: { id: call.params.receivedStreamId } };
    },
    async renew(call) {
      const who = await confirmed(call, 'signal-receiver.renew');
      const authorization = await renewAuthorization(deps, who, which(call));
      return { status: 200 as const, body: { id: call.params.receivedStreamId, authorization } };
    },
    async turn(call) {
      const who = await confirmed(call, 'signal-receiver.turn');
      await turnStream(deps, who, { ...which(call), to: call.body.to });
      return { status: 200 as const, body: { id: call.params.receivedStreamId } };
    },
    async verify(call) {
      const askedAt = await verifyNow({ caller: call.caller, requestId: call.requestId }, which(call));
      return { status: 200 as const, body: { id: call.params.receivedStreamId, askedAt: askedAt.toISOString() } };
    },
    async decide(call) {
      const who = await confirmed(call, 'signal-receiver.decide');
      const eventId = call.ids['params.receivedEventId'];
      await decideHeld(deps, who, { ...which(call), eventId, to: call.body.to });
      return { status: 200 as const, body: { id: call.params.receivedEventId } };
    },
  });
}
