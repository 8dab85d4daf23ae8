import { AppError } from '@auditrax/base';
import { FILE_NAME_BYTES_MAX } from './contract.ts';
import type { EvidenceCode } from './errors.ts';

/** Names that Windows opens as devices whatever their extension: a file saved under one is lost or worse. */
const DEVICE_NAME = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\.|$)/i;
/** Controls, format characters (bidirectional overrides make "exe.pdf" out of "fdp.exe"), line and paragraph marks. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
/** Emoji sequences and several scripts need joiners between letters; these two may stay there. */
const JOINERS =
  /(?<=[\p{L}\p{M}\p{Extended_Pictographic}\u{FE0F}])[\u200C\u200D](?=[\p{L}\p{Extended_Pictographic}])/gu;
/** What separates folders or streams on any common system. */
const SEPARATOR = /[/\\:]/;
const RESERVED = /[<>"|?*]/g;

function refuse(problem: string): never {
  throw new AppError<EvidenceCode>('file_name_refused', `file name ${problem}`, {
    field: 'body.fileName',
    publicDetail: `The file name ${problem}.`,
  });
}

/**
 * The name under which a file is kept and handed out again. Harmless variety is normalised (NFC, surrounding blanks,
 * trailing dots, characters that Windows reserves become `_`); what can deceive or escape is refused with the reason:
 * folders, drive letters, control and bidirectional characters, device names, more than 255 bytes of UTF-8.
 * Idempotent. Throws `file_name_refused`.
 */
export function safeFileName(given: string): string {
  if (!given.isWellFormed()) refuse('is not valid Unicode');
  if (SEPARATOR.test(given.normalize('NFKC'))) refuse('must not hold a folder, a drive or a colon');
  const name = given
    .normalize('NFC')
    .replace(RESERVED, '_')
    .replace(/\p{Zs}/gu, ' ')
    .replace(/^ +|[ .]+$/g, '');
  if (INVISIBLE.test(name.replace(JOINERS, ''))) refuse('must not hold control or invisible characters');
  if (name === '' || /^\.+$/.test(name)) refuse('is empty');
  if (DEVICE_NAME.test(name)) refuse('is the name of a device');
  if (Buffer.byteLength(name) > FILE_NAME_BYTES_MAX) refuse(`is longer than ${FILE_NAME_BYTES_MAX} bytes`);
  return name;
}

const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}$/;

/** Type and subtype in lower case, without parameters (RFC 6838 section 4.2). Throws `media_type_refused`. */
export function plainMediaType(given: string): string {
  const type = given.split(';', 1)[0]!.trim().toLowerCase();
  if (!MEDIA_TYPE.test(type)) {
    throw new AppError<EvidenceCode>('media_type_refused', 'not a media type', {
      field: 'body.mediaType',
      publicDetail: 'The media type must read like "application/pdf".',
    });
  }
  return type;
}

/** `attr-char` of RFC 8187; every other byte is percent-encoded. */
const ATTRIBUTE_CHARACTER = /[A-Za-z0-9!#$&+.^_`|~-]/;

/**
 * `Content-Disposition` of RFC 6266: an ASCII form for old readers and the exact one in UTF-8 (RFC 8187). The value is
 * ASCII without control characters whatever the name, so that no name can add a header.
 */
export function attachmentDisposition(fileName: string): string {
  const ascii = fileName
    .normalize('NFKD')
    .replace(/[^\x20-\x7e]/g, '_')
    .replace(/["\\%]/g, '_');
  const exact = [...Buffer.from(fileName, 'utf8')]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return byte < 0x80 && ATTRIBUTE_CHARACTER.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
  return `attachment; filename="${ascii}"; filename*=UTF-8''${exact}`;
}

/**
 * Headers of every download. The client's file is never trusted to be what it says: no type of its own, no sniffing,
 * no script even when a browser is made to show it, no copy in a cache, and no other site may embed it.
 */
export function downloadHeaders(file: { fileName: string; sizeBytes: number }): Readonly<Record<string, string>> {
  return {
    'content-type': 'application/octet-stream',
    'content-length': String(file.sizeBytes),
    'content-disposition': attachmentDisposition(file.fileName),
    'x-content-type-options': 'nosniff',
    'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': 'no-store',
  };
}
