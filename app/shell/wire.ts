import type { output, ZodType } from 'zod';
import type { EngagementSummary } from '../domains/engagements/contract.ts';
import type { routes as access } from '../domains/access/contract.ts';
import type { routes as identity } from '../domains/identity/contract.ts';
import type { consoleContract as keys } from '../domains/keys/contract.ts';
import type { oncallRoutes as oncall } from '../domains/oncall/contract.ts';

/**
 * What the app reads from the API, by name. The rooms' contracts are the source: types come from there where a room
 * exports them, and a contract that changes breaks the type check here, not a screen.
 */

export type { Criterion, EngagementDetail, EngagementSummary, Progress, Result, ResultOutcome } from '../domains/engagements/contract.ts';
export type { Evidence, UploadPosition } from '../domains/evidence/contract.ts';

export type { OncallPage } from '../domains/oncall/contract.ts';
export type { ListedKey } from '../domains/keys/contract.ts';

type Answer<Route extends { readonly replies: { readonly 200: ZodType } }> = output<Route['replies'][200]>;

export type SessionAnswer = Answer<(typeof identity)['session']>;
export type Session = Extract<SessionAnswer, { signedIn: true }>;
export type Role = Session['role'];
export type Ceremony = Answer<(typeof identity)['signInOptions']>;
export type PasskeyList = Answer<(typeof identity)['listPasskeys']>;
export type Passkey = PasskeyList['passkeys'][number];
export type OncallAnswer = Answer<(typeof oncall)['list']>;
export type KeysAnswer = Answer<(typeof keys)['list']>;

export type Member = Answer<(typeof access)['listMembers']>['members'][number];
export type Invitation = Answer<(typeof access)['listInvitations']>['invitations'][number];
export type Invited = output<(typeof access)['invite']['replies'][201]>;
/** What a step-up approves, made by the server from its own records; the passkey signs its hash. */
export type StepUpChallenge = Answer<(typeof access)['stepUp']>;
export type EngagementState = EngagementSummary['state'];

export interface Entry {
  readonly id: string;
  readonly type: string;
  readonly at: string;
  readonly actor: { readonly kind: 'person' | 'service'; readonly label: string };
  readonly resource: readonly [kind: string, id: string];
  readonly outcome: 'allowed' | 'denied' | 'failed';
  readonly requestId: string;
  /** Position in the log; null until the sequencer has sealed it. */
  readonly position: number | null;
  readonly public: Readonly<Record<string, string | number | boolean>>;
}

export interface EntryDetail extends Entry {
  readonly leaf: string;
  readonly tokenHash: string | null;
  readonly stepUpHash: string | null;
  readonly disclosures: readonly { readonly name: string; readonly value: string | null; readonly digest: string }[];
}

export interface EntryProof {
  readonly index: number;
  readonly treeSize: number;
  readonly leafHash: string;
  readonly path: readonly string[];
  readonly checkpoint: string;
  readonly vkey: string;
  readonly witnesses: number;
}

export interface EntryPage {
  readonly entries: readonly Entry[];
  readonly nextCursor: string | null;
}
