import { isUtf8 } from 'node:buffer';
import { refusal, type SamlCode } from './errors.ts';
import { RESPONSE_BYTES_MAX } from './limits.ts';

/** A message that came as base64, in the only spelling that goes on to the verifier. */
export interface DecodedMessage {
  readonly text: string;
  readonly base64: string;
}

/** Line breaks of MIME base64, which some providers put in, add at most this to a form field. */
const LINE_BREAK_SHARE = 1.05;

/**
 * G1 and G2: the form field `SAMLResponse` as bytes. Line breaks between the characters are the only tolerance; a second
 * spelling of the same bytes is refused, so that no other reader of the field can see something else.
 */
function bytesOfForm(field: string): { bytes: Buffer; base64: string } {
  if (field.length > Math.ceil((RESPONSE_BYTES_MAX * 4) / 3) * LINE_BREAK_SHARE) throw refusal('saml_too_large');
  const joined = field.includes('\n') ? field.replaceAll(/\r?\n/g, '') : field;
  const bytes = Buffer.from(joined, 'base64');
  // What Node writes back is the one spelling: its decoder skips foreign characters, its encoder has none.
  if (joined === '' || bytes.toString('base64') !== joined) throw refusal('saml_base64');
  if (bytes.length > RESPONSE_BYTES_MAX) throw refusal('saml_too_large', `${bytes.length} bytes`);
  return { bytes, base64: joined };
}

/** G3: UTF-8 without overlong forms and surrogates. */
export function textOfBytes(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw refusal('saml_encoding', 'not UTF-8');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return text;
}

/** G3: no byte order mark, and only characters that XML has. */
function checkCharacters(text: string): void {
  if (text.startsWith('\ufeff')) throw refusal('saml_encoding', 'byte order mark');
  if (/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u.test(text))
    throw refusal('saml_encoding', 'a character that XML does not have');
}

const DECLARATION =
  /^<\?xml[ \t\r\n]+version[ \t]*=[ \t]*["']1\.0["'](?:[ \t\r\n]+encoding[ \t]*=[ \t]*["']utf-8["'])?(?:[ \t\r\n]+standalone[ \t]*=[ \t]*["'](?:yes|no)["'])?[ \t\r\n]*\?>/i;

const DECLARED: readonly (readonly [start: string, code: SamlCode])[] = [
  ['<!DOCTYPE', 'saml_doctype'],
  ['<!--', 'saml_comment'],
  ['<![CDATA[', 'saml_cdata'],
];

/** G4: what is left of XML is elements, attributes and text; nothing that two parsers could read in two ways. */
function checkMarkup(text: string, bodyStart: number): void {
  const declaration = text.indexOf('<!', bodyStart);
  if (declaration !== -1) {
    const [, code] = DECLARED.find(([start]) => text.startsWith(start, declaration)) ?? [];
    throw refusal(code ?? 'saml_markup_declaration');
  }
  if (text.includes('<?', bodyStart)) throw refusal('saml_processing_instruction');
}

/** Only the five predefined entities and numbers of characters that XML has. */
function checkReferences(text: string): void {
  if (/&(?!(?:lt|gt|amp|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)/.test(text)) throw refusal('saml_entity');
  for (const [, decimal, hex] of text.matchAll(/&#(?:([0-9]+)|x([0-9A-Fa-f]+));/g)) {
    const point = decimal === undefined ? Number.parseInt(hex!, 16) : Number(decimal);
    const isSurrogate = point >= 0xd800 && point <= 0xdfff;
    if (point > 0x10_ffff || isSurrogate) throw refusal('saml_encoding', 'a reference to no character');
    // Not at the beginning, where U+FEFF would be a mark.
    checkCharacters(`.${String.fromCodePoint(point)}`);
  }
}

/** G3 and G4 for text whose size is known to be bounded. Returns where the root may begin. */
export function checkText(text: string): number {
  checkCharacters(text);
  const bodyStart = DECLARATION.exec(text)?.[0].length ?? 0;
  checkMarkup(text, bodyStart);
  checkReferences(text);
  return bodyStart;
}

/** Pass 1: the form field `SAMLResponse` as text, and the spelling that goes on to the verifier. */
export function decodeMessage(field: string): DecodedMessage {
  const { bytes, base64 } = bytesOfForm(field);
  return { text: textOfBytes(bytes), base64 };
}
