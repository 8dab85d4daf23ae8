import { AppError } from '@auditrax/base';

/** The networks whose numbers are told apart; `maestro` stands for the family of older debit prefixes. */
export type CardNetwork =
  | 'visa'
  | 'mastercard'
  | 'amex'
  | 'diners'
  | 'discover'
  | 'jcb'
  | 'unionpay'
  | 'maestro'
  | 'mir'
  | 'rupay'
  | 'verve'
  | 'elo';

/** Where a card number was found. Never holds the number: what must not be stored must not travel in an error either. */
export interface CardNumberFound {
  readonly network: CardNetwork;
  /** Index of the first UTF-16 unit (text) or the first byte (stream). */
  readonly at: number;
  /** Count of digits, 12 to 19. */
  readonly digits: number;
}

interface IssuerRange {
  readonly network: CardNetwork;
  /** Inclusive prefixes of equal length, as digit strings. */
  readonly from: string;
  readonly to: string;
  readonly lengths: readonly number[];
}

const DIGITS_MIN = 12;
/** ISO/IEC 7812-1: a primary account number has at most 19 digits. */
const DIGITS_MAX = 19;
const ANY_16_TO_19 = [16, 17, 18, 19];
const ANY_12_TO_19 = [12, 13, 14, 15, 16, 17, 18, 19];

/**
 * Issuer prefixes as the networks publish them. Order matters where ranges overlap: the first hit names the network.
 * Private-label prefixes are left out, for they would match every second order number.
 */
const ISSUER_RANGES: readonly IssuerRange[] = [
  { network: 'amex', from: '34', to: '34', lengths: [15] },
  { network: 'amex', from: '37', to: '37', lengths: [15] },
  { network: 'diners', from: '300', to: '305', lengths: [14, 16, 17, 18, 19] },
  { network: 'diners', from: '3095', to: '3095', lengths: [14, 16, 17, 18, 19] },
  { network: 'diners', from: '36', to: '36', lengths: [14, 15, 16, 17, 18, 19] },
  { network: 'diners', from: '38', to: '39', lengths: [14, 16, 17, 18, 19] },
  { network: 'jcb', from: '3528', to: '3589', lengths: ANY_16_TO_19 },
  { network: 'elo', from: '401178', to: '401179', lengths: [16] },
  { network: 'elo', from: '504175', to: '504175', lengths: [16] },
  { network: 'elo', from: '636297', to: '636297', lengths: [16] },
  { network: 'visa', from: '4', to: '4', lengths: [13, 16, 18, 19] },
  { network: 'mastercard', from: '51', to: '55', lengths: [16] },
  { network: 'mastercard', from: '2221', to: '2720', lengths: [16] },
  { network: 'mir', from: '2200', to: '2204', lengths: ANY_16_TO_19 },
  { network: 'verve', from: '506099', to: '506198', lengths: [16, 18, 19] },
  { network: 'verve', from: '507865', to: '507964', lengths: [16, 18, 19] },
  { network: 'verve', from: '650002', to: '650027', lengths: [16, 18, 19] },
  { network: 'rupay', from: '508', to: '508', lengths: [16] },
  { network: 'rupay', from: '8172', to: '8172', lengths: [16] },
  { network: 'discover', from: '6011', to: '6011', lengths: ANY_16_TO_19 },
  { network: 'discover', from: '644', to: '649', lengths: ANY_16_TO_19 },
  { network: 'discover', from: '65', to: '65', lengths: ANY_16_TO_19 },
  { network: 'rupay', from: '60', to: '60', lengths: [16] },
  { network: 'unionpay', from: '62', to: '62', lengths: ANY_16_TO_19 },
  { network: 'unionpay', from: '81', to: '81', lengths: ANY_16_TO_19 },
  { network: 'maestro', from: '5018', to: '5018', lengths: ANY_12_TO_19 },
  { network: 'maestro', from: '5020', to: '5020', lengths: ANY_12_TO_19 },
  { network: 'maestro', from: '5038', to: '5038', lengths: ANY_12_TO_19 },
  { network: 'maestro', from: '5893', to: '5893', lengths: ANY_12_TO_19 },
  { network: 'maestro', from: '6304', to: '6304', lengths: ANY_12_TO_19 },
  { network: 'maestro', from: '6759', to: '6759', lengths: ANY_12_TO_19 },
  { network: 'maestro', from: '6761', to: '6763', lengths: ANY_12_TO_19 },
];

/** ISO/IEC 7812-1 annex B check digit (Luhn). Expects ASCII digits. */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i += 1) {
    const value = digits.charCodeAt(digits.length - 1 - i) - 48;
    const weighted = i % 2 === 0 ? value : value * 2;
    sum += weighted > 9 ? weighted - 9 : weighted;
  }
  return sum % 10 === 0;
}

/** Ranges by first digit: most windows are dismissed at once. */
const RANGES_BY_FIRST_DIGIT: ReadonlyMap<string, readonly IssuerRange[]> = Map.groupBy(
  ISSUER_RANGES,
  (range) => range.from[0]!,
);

function networkOf(digits: string): CardNetwork | undefined {
  for (const range of RANGES_BY_FIRST_DIGIT.get(digits[0]!) ?? []) {
    if (!range.lengths.includes(digits.length)) continue;
    const prefix = digits.slice(0, range.from.length);
    if (prefix >= range.from && prefix <= range.to) return range.network;
  }
  return undefined;
}

interface DigitGroup {
  readonly digits: string;
  readonly at: number;
}

/**
 * Looks at every window that starts and ends where a group of digits does. So a date before a number hides nothing
 * ("2026-11-22 4111 …"), and a window inside one unbroken long number (a serial, a hash) raises no false alarm.
 */
function cardAmong(groups: readonly DigitGroup[], groupDigitsMin = 1): CardNumberFound | undefined {
  for (let start = 0; start < groups.length; start += 1) {
    let digits = '';
    for (let end = start; end < groups.length && digits.length <= DIGITS_MAX; end += 1) {
      // Only the last group of a printed number is short (4-4-4-4-1).
      if (end > start && groups[end - 1]!.digits.length < groupDigitsMin) break;
      digits += groups[end]!.digits;
      if (digits.length < DIGITS_MIN || digits.length > DIGITS_MAX) continue;
      const network = networkOf(digits);
      if (network !== undefined && passesLuhn(digits)) return { network, at: groups[start]!.at, digits: digits.length };
    }
  }
  return undefined;
}

/** Up to three characters of these between two groups still read as one number: `4111 - 1111`. */
const SEPARATORS_MAX = 3;
const SEPARATOR = /^[\t\p{Pd}\p{Zs}.,_/|·•*'’:+]$/u;
/** Marks and format characters that a pasted (or a hidden) number may carry between its digits. */
const INVISIBLE = /^[\p{Cf}\p{M}]$/u;
const NUMERIC = /^\p{N}$/u;
const DECIMAL_DIGIT = /^\p{Nd}$/u;

/** The value 0 to 9 of any decimal digit of Unicode (fullwidth, Arabic-Indic, …), which come in runs of ten from zero. */
function digitValue(character: string): number | undefined {
  const code = character.codePointAt(0)!;
  if (code >= 48 && code <= 57) return code - 48;
  if (code < 128 || !NUMERIC.test(character)) return undefined;
  const compatible = character.normalize('NFKC');
  if (/^[0-9]$/.test(compatible)) return Number(compatible);
  if (!DECIMAL_DIGIT.test(character)) return undefined;
  let zero = code;
  while (code - zero < 9 && DECIMAL_DIGIT.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return code - zero;
}

/**
 * Finds the first thing in `text` that can only be read as a payment card number: a known issuer prefix, a length that
 * this issuer uses, and a valid check digit; digits may be grouped by blanks or punctuation, be written in any script,
 * and have invisible characters between them. Returns undefined when there is none. Linear in the length of the text.
 *
 * Source: ISO/IEC 7812-1; claim `cert.pci-saq-a`.
 */
export function findCardNumber(text: string): CardNumberFound | undefined {
  let run: DigitGroup[] = [];
  let group = '';
  let groupAt = 0;
  let separators = 0;
  let index = 0;
  const closeGroup = (): void => {
    if (group !== '') run.push({ digits: group, at: groupAt });
    group = '';
  };
  for (const character of text) {
    const value = digitValue(character);
    if (value !== undefined) {
      if (group === '') groupAt = index;
      group += String(value);
      separators = 0;
    } else if ((group !== '' || run.length > 0) && !INVISIBLE.test(character)) {
      closeGroup();
      separators += 1;
      if (separators > SEPARATORS_MAX || !SEPARATOR.test(character)) {
        const found = cardAmong(run);
        if (found !== undefined) return found;
        run = [];
        separators = 0;
      }
    }
    index += character.length;
  }
  closeGroup();
  return cardAmong(run);
}

export type CardNumberCode = 'card_number_refused';

/** What a caller says about its own text: the fields it declares to hold no card number, each recorded in the log. */
export type NotACard = readonly string[] | undefined;

/** A declared exception that was really needed: the field and what it looked like, for the audit entry. */
export interface CardNumberOverride {
  readonly field: string;
  readonly network: CardNetwork;
}

/**
 * Refuses each text that holds a card number, unless its field is named in `notACard`. Returns the overrides that were
 * needed, which the caller MUST record in the same transaction as the row (`recordCardOverrides`).
 * Throws `card_number_refused` naming the first field; the number itself appears in no message.
 */
export function refuseCardNumber(
  fields: Readonly<Record<string, string | undefined>>,
  notACard: NotACard,
): CardNumberOverride[] {
  const overrides: CardNumberOverride[] = [];
  for (const [field, text] of Object.entries(fields)) {
    const found = text === undefined ? undefined : findCardNumber(text);
    if (found === undefined) continue;
    if (notACard?.includes(field) !== true) {
      throw new AppError<CardNumberCode>('card_number_refused', `field ${field} reads as a ${found.network} number`, {
        field,
        publicDetail:
          'This text reads as a payment card number, which must not be stored here. Remove it, or declare that it is ' +
          `not a card by sending notACard: ["${field}"]; the declaration is recorded.`,
      });
    }
    overrides.push({ field, network: found.network });
  }
  return overrides;
}

const NUL = 0x00;
/** Blank, tab, hyphen, full stop, underscore, slash. No comma: rows of small numbers in CSV files would match by chance. */
const STREAM_SEPARATORS: ReadonlySet<number> = new Set([0x20, 0x09, 0x2d, 0x2e, 0x5f, 0x2f]);
/** Tables of short numbers are common in files; printed card numbers have groups of three digits or more. */
const STREAM_GROUP_DIGITS_MIN = 3;
/** A long table row is checked each time this many groups have gathered, so that memory stays constant. */
const STREAM_GROUPS_MAX = 64;

/** Reads a file piece by piece in constant memory; see `cardNumberScanner`. */
export interface CardNumberScanner {
  push(bytes: Uint8Array): void;
  /** Call once after the last piece. */
  end(): CardNumberFound | undefined;
}

/**
 * Scans the bytes of a file for card numbers in ASCII or UTF-16 text (NUL bytes between digits are ignored), however
 * the file is cut into pieces. It flags and never refuses: a file is the client's evidence. Compressed content (PDF,
 * OOXML, ZIP) is not unpacked, so that an absent flag is no statement about such files.
 */
export function cardNumberScanner(): CardNumberScanner {
  let found: CardNumberFound | undefined;
  let run: DigitGroup[] = [];
  let group = '';
  let groupAt = 0;
  let separators = 0;
  let position = -1;
  const judgeRun = (): void => {
    if (run.length > 0) found ??= cardAmong(run, STREAM_GROUP_DIGITS_MIN);
  };
  const closeGroup = (): void => {
    if (group === '') return;
    if (group.length > DIGITS_MAX) {
      judgeRun(); // an unbroken run this long is no card, and nothing reads across it
      run = [];
    } else {
      run.push({ digits: group, at: groupAt });
    }
    group = '';
    if (run.length > STREAM_GROUPS_MAX) {
      judgeRun();
      run = run.slice(-DIGITS_MAX); // each group has a digit: no number can begin further back
    }
  };
  const closeRun = (): void => {
    closeGroup();
    judgeRun();
    run = [];
    separators = 0;
  };
  const takeDigit = (byte: number): void => {
    if (group === '') groupAt = position;
    // One digit more than the longest number is enough to know that this unbroken run is none.
    if (group.length <= DIGITS_MAX) group += String.fromCharCode(byte);
    separators = 0;
  };
  return {
    push: (bytes) => {
      for (const byte of bytes) {
        if (found !== undefined) return;
        position += 1;
        if (byte >= 0x30 && byte <= 0x39) takeDigit(byte);
        else if (byte === NUL || (group === '' && run.length === 0)) continue;
        else if (!STREAM_SEPARATORS.has(byte)) closeRun();
        else {
          closeGroup();
          separators += 1;
          if (separators > SEPARATORS_MAX) closeRun();
        }
      }
    },
    end: () => {
      closeRun();
      return found;
    },
  };
}
