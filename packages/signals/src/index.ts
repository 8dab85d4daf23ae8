export { SET_ALGORITHMS, type SetAlgorithm } from './algorithms.ts';
export { isPassing, SIGNALS_CHECKS, type SignalsCode } from './errors.ts';
export { EVENT_RULES, strongest, VERDICTS, type EventName, type ReceivedEvent, type Verdict } from './events.ts';
export type { ReachPorts, SignalsFetch } from './http.ts';
export type { JsonObject } from './json.ts';
export { createKeySource, type KeySource } from './keys.ts';
export {
  answerPush,
  deliveryErrorOf,
  type DeliveryError,
  type PushInput,
  type PushOutcome,
  type PushRequest,
  type RefusedSet,
} from './push.ts';
export { receiveSet, verifySet, type ReceivedSet, type SetPorts, type SetStore } from './set.ts';
export { parseReceiverStream, type ReceiverStream, type ReceiverStreamInput } from './stream.ts';
export {
  describeSubject,
  parseSubject,
  type FoundSubject,
  type PlainSubject,
  type SimpleSubject,
  type Subject,
  type UnusableReason,
} from './subject.ts';
export {
  buildSet,
  parseTransmitterStream,
  streamUpdatedEvent,
  verificationEvent,
  type BuiltSet,
  type OutgoingEvent,
  type TransmitterStream,
} from './build.ts';
export {
  configurationAddress,
  DELIVERY_METHODS,
  readConfiguration,
  type DeliveryMethod,
  type TransmitterConfiguration,
} from './configuration.ts';
export {
  manageStreams,
  type StreamDescription,
  type StreamManager,
  type StreamOrder,
  type StreamStatus,
} from './management.ts';
export {
  afterPoll,
  afterPush,
  EMPTY_OUTBOX,
  enqueue,
  expire,
  nextPush,
  setStatus,
  takeDead,
  type DeadLetter,
  type DeadReason,
  type Outbox,
  type OutboxEntry,
  type PushResult,
} from './outbox.ts';
export {
  FIRST_POLL,
  pollOnce,
  pollRequest,
  type PollFailure,
  type PollInput,
  type PollPorts,
  type PollState,
  type PollStep,
} from './poll.ts';
export { pushOnce, pushSet, type PushTarget } from './send.ts';
export { answerPoll, answerVerification, configurationDocument, type TransmitterAddresses } from './serve.ts';
export { createSetSigner, publicKeySet, type SetSigner } from './signer.ts';
