import { describe, expect, it } from 'vitest';
import { attempt } from './module-attempt.ts';
import { KeyAbsent } from './module-operations.ts';

const withCode = (code: string) => expect.objectContaining({ code });
const fault = (name: string): Error => Object.assign(new Error(name), { code: 1 });
const bytes = new Uint8Array(16);
const decrypt = { op: 'decryptGcm', key: 'aa', iv: bytes, aad: bytes, input: bytes } as const;
const encrypt = { ...decrypt, op: 'encryptGcm' } as const;
const find = { op: 'findKey', name: { id: 'aa' } } as const;

/** A pretended connection (no module behind it): faults that SoftHSM does not show, in the order that they come. */
function pretend(facts: { lives?: boolean; witness?: boolean; fresh?: boolean } = {}) {
  const log: string[] = [];
  let isFresh = facts.fresh ?? false;
  return {
    log,
    ensure: () => {
      const was = isFresh;
      isFresh = false;
      return was;
    },
    drop: () => {
      log.push('drop');
      isFresh = true;
    },
    forget: () => log.push('forget'),
    hasWitness: () => facts.witness ?? false,
    isAlive: () => facts.lives ?? true,
  };
}
function answers(...given: readonly unknown[]): () => unknown {
  let at = 0;
  return () => {
    const answer = given[Math.min(at, given.length - 1)];
    at += 1;
    if (answer instanceof Error) throw answer;
    return answer;
  };
}

describe('P2: a fault of a pretended module is believed only when the connection is not to blame', () => {
  it('bytes are wrong when a token that lives says so twice, not once, and not when it is lost', () => {
    for (const name of ['CKR_GENERAL_ERROR', 'CKR_ENCRYPTED_DATA_INVALID', 'CKR_FUNCTION_FAILED']) {
      expect(() => attempt(pretend(), decrypt, answers(fault(name)))).toThrow(withCode('authentication_failed'));
      expect(attempt(pretend(), decrypt, answers(fault(name), 'opened'))).toBe('opened');
      const lost = pretend({ lives: false });
      expect(attempt(lost, decrypt, answers(fault(name), 'opened'))).toBe('opened');
      expect(lost.log).toEqual(['drop']);
      expect(() => attempt(pretend({ lives: false }), decrypt, answers(fault(name)))).toThrow(name);
    }
  });

  it('the same fault of another operation is never about bytes', () => {
    expect(() => attempt(pretend(), encrypt, answers(fault('CKR_GENERAL_ERROR')))).toThrow('CKR_GENERAL_ERROR');
  });

  it('a lost session, login or device is made anew once, then told', () => {
    for (const name of [
      'CKR_SESSION_HANDLE_INVALID',
      'CKR_SESSION_CLOSED',
      'CKR_DEVICE_REMOVED',
      'CKR_DEVICE_ERROR',
      'CKR_TOKEN_NOT_PRESENT',
      'CKR_USER_NOT_LOGGED_IN',
      'CKR_OPERATION_ACTIVE',
    ]) {
      const live = pretend();
      expect(attempt(live, encrypt, answers(fault(name), 'sealed'))).toBe('sealed');
      expect(live.log).toEqual(['drop']);
      const dead = pretend();
      expect(() => attempt(dead, encrypt, answers(fault(name)))).toThrow(name);
      expect(dead.log).toEqual(['drop', 'drop']);
    }
  });

  it('an absent key is absent when a new connection or another key that is still seen says so', () => {
    const none = new KeyAbsent('aa');
    expect(attempt(pretend({ fresh: true }), find, answers(none))).toBeNull();
    expect(attempt(pretend({ witness: true }), find, answers(none))).toBeNull();
    const blind = pretend();
    expect(attempt(blind, find, answers(none, 'found'))).toBe('found');
    expect(blind.log).toEqual(['drop']);
    expect(() => attempt(pretend(), decrypt, answers(fault('CKR_KEY_HANDLE_INVALID'), none))).toThrow(
      withCode('kek_gone'),
    );
  });

  it('a refused PIN or use is told at once', () => {
    for (const name of ['CKR_PIN_INCORRECT', 'CKR_KEY_FUNCTION_NOT_PERMITTED', 'CKR_MECHANISM_INVALID']) {
      const live = pretend();
      let calls = 0;
      expect(() =>
        attempt(live, encrypt, () => {
          calls += 1;
          throw fault(name);
        }),
      ).toThrow(name);
      expect([calls, live.log]).toEqual([1, []]);
    }
  });
});
