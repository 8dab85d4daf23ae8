import { beforeAll, describe, expect, it } from 'vitest';
import { RESPONSE_BYTES_MAX } from './limits.ts';
import { PROTOCOL } from './names.ts';
import { base64, NAME_ID, signedResponse } from './testing/generator.ts';
import { makeTestWorld, verdict, type Attempt, type TestWorld } from './testing/world.ts';

let world: TestWorld;
let good: string;
beforeAll(async () => {
  world = await makeTestWorld();
  good = signedResponse({ key: world.idp, sign: 'both' });
});

const ACCEPTED = `accepted as ${NAME_ID}`;
const judge = (xml: string, options?: Attempt) => verdict(world, xml, options);
const asField = (field: string) => verdict(world, '', { field });

describe('G1: size', () => {
  it('refuses more than a provider sends, before and after decoding', async () => {
    expect(await judge(`${good}${' '.repeat(RESPONSE_BYTES_MAX)}`)).toBe('saml_too_large');
    expect(await asField('A'.repeat(10 * RESPONSE_BYTES_MAX))).toBe('saml_too_large');
  });
  it('takes what is just within', async () => {
    expect(await judge(`${good}${' '.repeat(RESPONSE_BYTES_MAX - good.length)}`)).toBe(ACCEPTED);
  });
});

describe('G2: base64 has one spelling', () => {
  it.each<[string, (field: string) => string]>([
    ['empty', () => ''],
    ['blanks inside', (field) => `${field.slice(0, 8)} ${field.slice(8)}`],
    ['base64url', (field) => `${field.slice(0, 4)}-_${field.slice(6)}`],
    ['missing padding', () => base64('<ab/>').replaceAll('=', '')],
    ['trailing bits', () => base64('<ab/>').replace('+=', '/=').replace(/.=$/, 'B=')],
    ['text after the padding', (field) => `${field}==AAAA`],
    ['percent signs', (field) => encodeURIComponent(`${field}=`)],
    ['a zero byte', (field) => `${field}\0`],
  ])('refuses %s', async (_name, spoil) => {
    expect(await asField(spoil(base64(good)))).toBe('saml_base64');
  });
  it('takes line breaks, as MIME writes them', async () => {
    expect(await asField(base64(good).replaceAll(/(.{76})/g, '$1\r\n'))).toBe(ACCEPTED);
    expect(await asField(base64(good).replaceAll(/(.{64})/g, '$1\n'))).toBe(ACCEPTED);
  });
});

describe('G3: text of XML characters in UTF-8', () => {
  const withBytes = (bytes: Buffer) => asField(bytes.toString('base64'));
  it.each<[string, Buffer]>([
    ['an overlong slash', Buffer.from([0x3c, 0x61, 0x3e, 0xc0, 0xaf, 0x3c, 0x2f, 0x61, 0x3e])],
    ['a surrogate', Buffer.from([0x3c, 0x61, 0x3e, 0xed, 0xa0, 0x80, 0x3c, 0x2f, 0x61, 0x3e])],
    ['UTF-16', Buffer.from('\ufeff<a/>', 'utf16le')],
    ['a byte order mark', Buffer.from('\ufeff<a/>')],
    ['a zero character', Buffer.from('<a>\0</a>')],
    ['a vertical tab', Buffer.from('<a>\v</a>')],
    ['U+FFFE', Buffer.from('<a>\ufffe</a>')],
  ])('refuses %s', async (_name, bytes) => {
    expect(await withBytes(bytes)).toBe('saml_encoding');
  });
  it('refuses a reference to a character that XML does not have', async () => {
    for (const reference of ['&#0;', '&#x0;', '&#11;', '&#xD800;', '&#x110000;', '&#xFFFE;'])
      expect(await judge(good.replace(NAME_ID, `${NAME_ID}${reference}`)), reference).toBe('saml_encoding');
  });
  it('refuses another encoding in the declaration', async () => {
    expect(await judge(`<?xml version="1.0" encoding="UTF-7"?>${good}`)).toBe('saml_processing_instruction');
    expect(await judge(`<?xml version="1.1"?>${good}`)).toBe('saml_processing_instruction');
  });
  it('takes an XML declaration', async () => {
    expect(await judge(`<?xml version="1.0" encoding="UTF-8"?>\n${good}`)).toBe(ACCEPTED);
    expect(await judge(`<?xml version='1.0' encoding='utf-8' standalone='yes'?>${good}`)).toBe(ACCEPTED);
  });
});

describe('G4: no markup that two parsers read in two ways', () => {
  const half = NAME_ID.slice(0, 4);
  it.each<[string, string, (xml: string) => string]>([
    ['a DOCTYPE', 'saml_doctype', (xml) => `<!DOCTYPE Response>${xml}`],
    [
      'a DOCTYPE with an entity',
      'saml_doctype',
      (xml) => `<!DOCTYPE r [<!ENTITY a "admin">]>${xml.replace(NAME_ID, '&a;')}`,
    ],
    ['an external entity', 'saml_doctype', (xml) => `<!DOCTYPE r SYSTEM "http://attacker.example/x.dtd">${xml}`],
    ['a billion laughs', 'saml_doctype', (xml) => `<!DOCTYPE r [<!ENTITY a "&b;&b;"><!ENTITY b "&a;&a;">]>${xml}`],
    ['a DOCTYPE in small letters', 'saml_markup_declaration', (xml) => `<!doctype r>${xml}`],
    ['a comment in the NameID', 'saml_comment', (xml) => xml.replace(NAME_ID, `${half}<!-- -->${NAME_ID.slice(4)}`)],
    [
      'a comment in the DigestValue (CVE-2025-29775)',
      'saml_comment',
      (xml) => xml.replace('<ds:DigestValue>', '<ds:DigestValue><!--x-->'),
    ],
    ['a comment before the root', 'saml_comment', (xml) => `<!-- -->${xml}`],
    ['a comment after the root', 'saml_comment', (xml) => `${xml}<!-- -->`],
    ['CDATA in the NameID', 'saml_cdata', (xml) => xml.replace(NAME_ID, `<![CDATA[${half}]]>${NAME_ID.slice(4)}`)],
    [
      'a processing instruction in the NameID',
      'saml_processing_instruction',
      (xml) => xml.replace(NAME_ID, `${half}<?x y?>${NAME_ID.slice(4)}`),
    ],
    ['a processing instruction after the root', 'saml_processing_instruction', (xml) => `${xml}<?x?>`],
    [
      'a second XML declaration',
      'saml_processing_instruction',
      (xml) => `<?xml version="1.0"?><?xml version="1.0"?>${xml}`,
    ],
    [
      'a style sheet',
      'saml_processing_instruction',
      (xml) => `<?xml-stylesheet href="http://attacker.example/"?>${xml}`,
    ],
    ['an element declaration', 'saml_markup_declaration', (xml) => `<!ELEMENT a ANY>${xml}`],
  ])('refuses %s', async (_name, code, spoil) => {
    expect(await judge(spoil(good))).toBe(code);
  });
});

describe('G5: well-formed, one root, bounded', () => {
  it.each<[string, string, (xml: string) => string]>([
    ['a second root', 'saml_not_well_formed', (xml) => `${xml}${xml}`],
    ['text after the root', 'saml_not_well_formed', (xml) => `${xml}x`],
    ['text before the root', 'saml_not_well_formed', (xml) => `x${xml}`],
    ['no root', 'saml_not_well_formed', () => '  \n '],
    ['an end that is missing', 'saml_not_well_formed', (xml) => xml.slice(0, -1)],
    ['ends in the wrong order', 'saml_not_well_formed', () => `<a xmlns="${PROTOCOL}"><b></a></b>`],
    [
      'an attribute twice',
      'saml_not_well_formed',
      (xml) => xml.replace(' Version="2.0"', ' Version="2.0" Version="2.0"'),
    ],
    ['an attribute without quotes', 'saml_not_well_formed', (xml) => xml.replace('Version="2.0"', 'Version=2.0')],
    ['a < in an attribute', 'saml_not_well_formed', (xml) => xml.replace('Version="2.0"', 'Version="<2.0"')],
    ['attributes that touch', 'saml_not_well_formed', (xml) => xml.replace('Version="2.0" ', 'Version="2.0"')],
    ['a ]]> in text', 'saml_not_well_formed', (xml) => xml.replace(NAME_ID, `${NAME_ID}]]>`)],
    ['an entity of one’s own', 'saml_entity', (xml) => xml.replace(NAME_ID, '&admin;')],
    ['an HTML entity', 'saml_entity', (xml) => xml.replace(NAME_ID, `${NAME_ID}&nbsp;`)],
    ['a bare ampersand', 'saml_entity', (xml) => xml.replace(NAME_ID, `${NAME_ID}&`)],
    ['depth', 'saml_too_complex', () => `<r xmlns="${PROTOCOL}">${'<a>'.repeat(30)}${'</a>'.repeat(30)}</r>`],
    ['many elements', 'saml_too_complex', () => `<a xmlns="${PROTOCOL}">${'<b/>'.repeat(5000)}</a>`],
    ['a name of another script', 'saml_not_well_formed', () => '<ä/>'],
    ['a name with two colons', 'saml_not_well_formed', () => '<a:b:c/>'],
  ])('refuses %s', async (_name, code, spoil) => {
    expect(await judge(spoil(good))).toBe(code);
  });
  it('judges 256 KiB of hostile text quickly', async () => {
    const start = process.cpuUsage();
    for (const piece of ['<a ', '<a b="', "<a b=''", '&#1', '</', '<a>'])
      expect(await judge(piece.repeat(Math.floor(200_000 / piece.length)))).toMatch(/^saml_/);
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1000).toBeLessThan(1500);
  });
});

describe('G6: what the reader does not know', () => {
  it('refuses a prefix that is not declared', async () => {
    expect(await judge('<samlp:Response/>')).toBe('saml_not_well_formed');
    expect(await judge(good.replace(' Version="2.0"', ' q:Version="2.0"'))).toBe('saml_not_well_formed');
  });
});
