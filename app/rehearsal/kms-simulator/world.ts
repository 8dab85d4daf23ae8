import { uuidV4, type Clock, type Random } from '@auditrax/base';
import { ImportTokens } from './import-token.ts';
import { SimulatedKey, type Origin } from './key.ts';
import { defaultPolicy, isAllowed, type Caller, type PolicyDocument } from './policy.ts';
import { refusal } from './refusal.ts';

/** All keys of one region, of whatever account. */
export class World {
  readonly region: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly tokens: ImportTokens;
  readonly #keys = new Map<string, SimulatedKey>();

  constructor(input: { readonly region: string; readonly clock: Clock; readonly random: Random }) {
    this.region = input.region;
    this.clock = input.clock;
    this.random = input.random;
    this.tokens = new ImportTokens(input.random);
  }

  create(input: {
    readonly account: string;
    readonly origin: Origin;
    readonly policy: PolicyDocument | undefined;
    readonly description: string;
  }): SimulatedKey {
    const key = new SimulatedKey({
      id: uuidV4(this.random),
      region: this.region,
      account: input.account,
      origin: input.origin,
      description: input.description,
      policy: input.policy ?? defaultPolicy(input.account),
      nowMs: this.clock.nowMs(),
      random: this.random,
    });
    this.#keys.set(key.id, key);
    return key;
  }

  /** A key by id (of the caller's account) or ARN. Throws NotFoundException, InvalidArnException. */
  find(name: string, account: string): SimulatedKey {
    const isArn = name.startsWith('arn:');
    if (isArn && !/^arn:aws:kms:[a-z0-9-]+:\d{12}:key\/[0-9a-f-]{36}$/.test(name)) {
      throw refusal('InvalidArnException', `Invalid ARN ${name}`);
    }
    const key = this.#keys.get(isArn ? name.split('/')[1]! : name);
    if (!key || key.isGone(this.clock.nowMs()) || (isArn ? key.arn !== name : key.account !== account)) {
      const arn = isArn ? name : `arn:aws:kms:${this.region}:${account}:key/${name}`;
      throw refusal('NotFoundException', `Key '${arn}' does not exist`);
    }
    key.settle(this.clock.nowMs());
    return key;
  }

  /** Throws AccessDeniedException unless policies and grants let the caller do this. */
  authorize(
    caller: Caller,
    operation: string,
    about: { readonly key: SimulatedKey; readonly context?: Readonly<Record<string, string>> | undefined },
  ): void {
    const { key, context } = about;
    const ask = { caller, operation, keyArn: key.arn, keyAccount: key.account, encryptionContext: context };
    if (isAllowed(ask, key.policy, key.grants)) return;
    throw refusal(
      'AccessDeniedException',
      `User: ${caller.arn} is not authorized to perform: kms:${operation} on resource: ${key.arn} because no identity-based policy, resource-based policy or grant allows the kms:${operation} action`,
    );
  }
}
