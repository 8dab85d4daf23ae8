import { AppError } from '@auditrax/base';

declare const htmlBrand: unique symbol;
/** Markup that `html` has made. Data cannot pose as it: the set below is the only witness, and JSON cannot enter it. */
export interface Html {
  readonly [htmlBrand]: true;
  readonly markup: string;
}

/** Text is escaped; `undefined` and `false` leave nothing; lists are joined. */
export type HtmlValue = Html | string | number | undefined | false | readonly HtmlValue[];

const made = new WeakSet<object>();

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  // Control characters are no characters of HTML; an attacker uses them to split words that a filter looks for.
  return text.replaceAll(/[^\P{Cc}\t\n\r]/gu, '\ufffd').replaceAll(/[&<>"']/g, (one) => ESCAPES[one]!);
}

function rendered(value: HtmlValue): string {
  if (value === undefined || value === false) return '';
  if (typeof value === 'string') return escaped(value);
  if (typeof value === 'number') return escaped(String(value));
  if (Array.isArray(value)) return value.map((item: HtmlValue) => rendered(item)).join('');
  const html = value as Html;
  if (!made.has(html)) throw new AppError('html_not_made_here', 'an object posed as markup');
  return html.markup;
}

/** Ends inside a tag, right after `name=` with no quote: a value there could add attributes. */
const UNQUOTED = /<[^<>]*=\s*$/;
const LINK_VALUE = /(?:href|src)="$/;
const LINK_ALLOWED = /^(?:\/(?!\/)|#|https:\/\/|mailto:)/;

/**
 * Tagged template for markup. Every value is escaped unless `html` made it. Refuses (throws `html_unsafe_place`) a
 * value in an unquoted attribute, and a link to anything but an own path, a fragment, https or mailto.
 */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let markup = strings[0]!;
  values.forEach((value, at) => {
    if (UNQUOTED.test(markup)) throw new AppError('html_unsafe_place', 'a value in an attribute without quotes');
    if (LINK_VALUE.test(markup) && !(typeof value === 'string' && LINK_ALLOWED.test(value))) {
      throw new AppError('html_unsafe_place', 'a link to a scheme that is not allowed');
    }
    markup += rendered(value) + strings[at + 1]!;
  });
  const result = { markup } as unknown as Html;
  made.add(result);
  return result;
}
