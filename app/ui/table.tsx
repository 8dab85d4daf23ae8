import { useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react';
import { IconButton } from './button.tsx';
import { Icon } from './icon.tsx';
import { Menu } from './overlay.tsx';

export interface Column<Row> {
  readonly key: string;
  readonly header: string;
  readonly cell: (row: Row) => ReactNode;
  /** Makes the column sortable. */
  readonly sort?: (row: Row) => string | number;
  readonly align?: 'right';
  /** 2: hidden on phones; 3: hidden on small laptops too. */
  readonly priority?: 2 | 3;
  /** As narrow as its content. */
  readonly fit?: boolean;
  readonly main?: boolean;
  /** The header is for screen readers only. */
  readonly quiet?: boolean;
}

export interface DataTableProps<Row> {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[] | undefined;
  rowKey: (row: Row) => string;
  empty: ReactNode;
  /** Filters and actions above the table. */
  bar?: ReactNode;
  selected?: ReadonlySet<string>;
  onSelect?: (next: ReadonlySet<string>) => void;
  /** Below the rows: "load more" and the like. */
  foot?: ReactNode;
  current?: string | null;
  whole?: boolean;
  /** Show column choice. */
  choose?: boolean;
}

interface Sorting {
  readonly key: string;
  readonly down: boolean;
}

function sorted<Row>(rows: readonly Row[], columns: readonly Column<Row>[], sorting: Sorting | null): readonly Row[] {
  const by = columns.find((column) => column.key === sorting?.key)?.sort;
  if (!by || !sorting) return rows;
  const sign = sorting.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const left = by(a);
    const right = by(b);
    return (typeof left === 'number' && typeof right === 'number' ? left - right : String(left).localeCompare(String(right), 'en', { numeric: true })) * sign;
  });
}

/** j and k move between the rows, x selects; Enter is the row's own link or button. */
function moveByKey(event: KeyboardEvent<HTMLElement>, box: HTMLElement | null): void {
  if (event.ctrlKey || event.metaKey || event.altKey || (event.target as HTMLElement).matches('input:not([type=checkbox]), textarea')) return;
  const row = (event.target as HTMLElement).closest('tr');
  if (event.key === 'x') row?.querySelector<HTMLInputElement>('input[type=checkbox]')?.click();
  const step = event.key === 'j' || event.key === 'ArrowDown' ? 1 : event.key === 'k' || event.key === 'ArrowUp' ? -1 : 0;
  if (step === 0 || !box) return;
  const rows = [...box.querySelectorAll<HTMLElement>('tbody tr')];
  const next = rows[Math.min(rows.length - 1, Math.max(0, (row ? rows.indexOf(row as HTMLTableRowElement) : -1) + step))];
  next?.querySelector<HTMLElement>('.row-link')?.focus();
  event.preventDefault();
}

function Head<Row>({ columns, sorting, onSort, selectable }: { columns: readonly Column<Row>[]; sorting: Sorting | null; onSort: (key: string) => void; selectable: boolean }) {
  return (
    <thead>
      <tr>
        {selectable && <th className="fit"><span className="vh">Select</span></th>}
        {columns.map((column) => {
          const on = sorting?.key === column.key;
          return (
            <th key={column.key} scope="col" className={cellClass(column)} aria-sort={on ? (sorting.down ? 'descending' : 'ascending') : undefined}>
              {column.sort ? (
                <button type="button" onClick={() => onSort(column.key)}>
                  {column.header}
                  {on && <Icon name={sorting.down ? 'down' : 'up'} />}
                </button>
              ) : column.quiet ? (
                <span className="vh">{column.header}</span>
              ) : (
                column.header
              )}
            </th>
          );
        })}
      </tr>
    </thead>
  );
}

function cellClass<Row>(column: Column<Row>): string {
  return [column.align ?? '', column.priority ? `p${column.priority}` : '', column.fit ? 'fit' : '', column.main ? 'main-cell' : ''].filter(Boolean).join(' ');
}

const SKELETON_ROWS = 4;

function Skeleton<Row>({ columns }: { columns: readonly Column<Row>[] }) {
  return Array.from({ length: SKELETON_ROWS }, (_, index) => (
    <tr key={index} aria-hidden="true">
      {columns.map((column) => <td key={column.key} className={cellClass(column)}><span className="skeleton" /></td>)}
    </tr>
  ));
}

/**
 * A table for people at a keyboard: sorting, selection, column choice, sticky head, loading and empty states.
 * Give the main cell of each row an element of class `row-link`; j/k travel over those.
 */
export function DataTable<Row>(props: DataTableProps<Row>) {
  const { columns, rows, rowKey, label, selected, onSelect } = props;
  const box = useRef<HTMLDivElement>(null);
  const [sorting, setSorting] = useState<Sorting | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const shown = columns.filter((column) => !hidden.has(column.key));
  const ordered = useMemo(() => sorted(rows ?? [], columns, sorting), [rows, columns, sorting]);
  const toggle = (set: ReadonlySet<string>, key: string) => (set.has(key) ? new Set([...set].filter((k) => k !== key)) : new Set([...set, key]));
  const sort = (key: string) => setSorting((now) => (now?.key !== key ? { key, down: false } : now.down ? null : { key, down: true }));
  const chooser = props.choose && (
    <div className="list__end">
      <Menu
        trigger={<IconButton icon="columns" label="Columns" />}
        entries={columns.filter((column) => !column.main).map((column) => ({ label: column.header || column.key, checked: !hidden.has(column.key), onSelect: () => setHidden(toggle(hidden, column.key)) }))}
      />
    </div>
  );
  return (
    <div className="list">
      {(props.bar || chooser) && <div className="list__bar">{props.bar}{chooser}</div>}
      {rows && rows.length === 0 ? (
        props.empty
      ) : (
        <div className={props.whole ? 'grid-box grid-box--whole' : 'grid-box'} ref={box} role="region" aria-label={label} tabIndex={0} aria-busy={rows === undefined} onKeyDown={(event) => moveByKey(event, box.current)}>
          <table className="grid">
            <caption className="vh">{label}</caption>
            <Head columns={shown} sorting={sorting} onSort={sort} selectable={Boolean(onSelect)} />
            <tbody>
              {rows === undefined && <Skeleton columns={shown} />}
              {ordered.map((row) => {
                const key = rowKey(row);
                return (
                  <tr key={key} data-selected={selected?.has(key) || props.current === key || undefined}>
                    {onSelect && <td className="fit"><input type="checkbox" aria-label="Select row" checked={selected?.has(key) ?? false} onChange={() => onSelect(toggle(selected ?? new Set(), key))} /></td>}
                    {shown.map((column) => <td key={column.key} className={cellClass(column)}>{column.cell(row)}</td>)}
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {props.foot}
    </div>
  );
}
