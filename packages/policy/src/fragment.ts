/** What a compiled filter is asked with; parameters are read from it when the filter is used. */
export interface FilterRequest {
  readonly principalId: string;
  readonly principal: Readonly<Record<string, unknown>>;
  readonly context: Readonly<Record<string, unknown>>;
}

/** A bind parameter: never text, so that no value can become SQL. */
export interface Bind {
  readonly bind: (request: FilterRequest) => unknown;
}

/** SQL under construction: text written in this library, column names checked by pattern, and binds. */
export type Fragment = readonly (string | Bind)[];

/** Joins text, binds and fragments. */
export function fragment(strings: TemplateStringsArray, ...values: readonly (Fragment | Bind)[]): Fragment {
  const parts: (string | Bind)[] = [strings[0] ?? ''];
  values.forEach((value, index) => {
    if (Array.isArray(value)) parts.push(...(value as Fragment));
    else parts.push(value as Bind);
    parts.push(strings[index + 1] ?? '');
  });
  return parts;
}

/** Joins fragments with a fixed operator, or gives `empty` when there are none. */
export function joined(parts: readonly Fragment[], operator: string, empty: string): Fragment {
  if (parts.length === 0) return [empty];
  return ['(', ...parts.flatMap((part, index) => (index === 0 ? part : [operator, ...part])), ')'];
}

/** Template pieces (`strings.length === values.length + 1`) of a fragment for one request. */
export function pieces(parts: Fragment, request: FilterRequest): { strings: string[]; values: unknown[] } {
  const strings = [''];
  const values: unknown[] = [];
  for (const part of parts) {
    if (typeof part === 'string') {
      strings[strings.length - 1] += part;
    } else {
      values.push(part.bind(request));
      strings.push('');
    }
  }
  return { strings, values };
}
