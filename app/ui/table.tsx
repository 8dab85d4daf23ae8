import { useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react';
import { IconButton } from './button.tsx';
import { Icon } from './icon.tsx';
import { Menu } from './overlay.tsx';
import { toggled } from './toggled.ts';

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
  /** Rows that may be selected; default: all. */
  selectable?: (row: Row) => boolean;
  /** Below the rows: "load more" and the like. */
  foot?: ReactNode;
  current?: string | null;
  whole?: boolean;
  /** Show column choice. */
  choose?: boolean;
  /** What stands between two rows, across all columns: a break in what they continue, for instance. */
  between?: (above: Row, below: Row) => ReactNode;
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
    return (
      (typeof left === 'number' && typeof right === 'number'
        ? left - right
        : String(left).localeCompare(String(right), 'en', { numeric: true })) * sign
    );
  });
}

/** j and k move between the rows, x selects; Enter is the row's own link or button. */
function moveByKey(event: KeyboardEvent<HTMLElement>, box: HTMLElement | null): void {
  if (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    (event.target as HTMLElement).matches('input:not([type=checkbox]), textarea')
  )
    return;
  const row = (event.target as HTMLElement).closest('tr');
  if (event.key === 'x') row?.querySelector<HTMLInputElement>('input[type=checkbox]')?.click();
  const step =
    event.key === 'j' || event.key === 'ArrowDown' ? 1 : event.key === 'k' || event.key === 'ArrowUp' ? -1 : 0;
  if (step === 0 || !box) return;
  const rows = [...box.querySelectorAll<HTMLElement>('tbody tr:has(.row-link)')];
  const next = rows[Math.min(rows.length - 1, Math.max(0, (row ? rows.indexOf(row) : -1) + step))];
  next?.querySelector<HTMLElement>('.row-link')?.focus();
  event.preventDefault();
}

function Head<Row>({
  columns,
  sorting,
  onSort,
  selectable,
}: {
  columns: readonly Column<Row>[];
  sorting: Sorting | null;
  onSort: (key: string) => void;
  selectable: boolean;
}) {
  return (
    <thead>
      <tr>
        {selectable && (
          <th className="fit">
            <span className="vh">Select</span>
          </th>
        )}
        {columns.map((column) => {
          const on = sorting?.key === column.key;
          return (
            <th
              key={column.key}
              scope="col"
              className={cellClass(column)}
              aria-sort={on ? (sorting.down ? 'descending' : 'ascending') : undefined}
            >
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
  return [
    column.align ?? '',
    column.priority ? `p${column.priority}` : '',
    column.fit ? 'fit' : '',
    column.main ? 'main-cell' : '',
  ]
    .filter(Boolean)
    .join(' ');
}

const SKELETON_ROWS = 4;

function Skeleton<Row>({ columns }: { columns: readonly Column<Row>[] }) {
  return Array.from({ length: SKELETON_ROWS }, (_, index) => (
    <tr key={index}>
      {columns.map((column) => (
        // oxlint-disable-next-line jsx-a11y/control-has-associated-label
        <td key={column.key} className={cellClass(column)}>
          <span className="skeleton" aria-hidden="true" />
        </td>
      ))}
    </tr>
  ));
}

interface RowsProps<Row> {
  table: DataTableProps<Row>;
  shown: readonly Column<Row>[];
  ordered: readonly Row[];
}

function Rows<Row>({ table, shown, ordered }: RowsProps<Row>) {
  const { selected = new Set<string>(), onSelect, current, rowKey, between } = table;
  const width = shown.length + (onSelect ? 1 : 0);
  return ordered.flatMap((row, index) => {
    const key = rowKey(row);
    const above = index === 0 ? undefined : ordered[index - 1];
    const gap = above === undefined ? null : between?.(above, row);
    const line = (
      <tr key={key} data-selected={selected.has(key) || current === key || undefined}>
        {onSelect && (
          <td className="fit">
            {table.selectable?.(row) !== false && (
              <input
                type="checkbox"
                aria-label="Select row"
                checked={selected.has(key)}
                onChange={() => onSelect(toggled(selected, key))}
              />
            )}
          </td>
        )}
        {shown.map((column) => (
          <td key={column.key} className={cellClass(column)}>
            {column.cell(row)}
          </td>
        ))}
      </tr>
    );
    if (!gap) return [line];
    return [
      <tr key={`${key}-gap`} className="grid__gap">
        <td colSpan={width}>{gap}</td>
      </tr>,
      line,
    ];
  });
}

interface ChooserProps<Row> {
  columns: readonly Column<Row>[];
  hidden: ReadonlySet<string>;
  onChange: (hidden: ReadonlySet<string>) => void;
}

function ColumnChooser<Row>({ columns, hidden, onChange }: ChooserProps<Row>) {
  const entries = columns
    .filter((column) => !column.main)
    .map(({ key, header }) => ({
      label: header,
      checked: !hidden.has(key),
      onSelect: () => onChange(toggled(hidden, key)),
    }));
  return (
    <div className="list__end">
      <Menu trigger={<IconButton icon="columns" label="Columns" />} entries={entries} />
    </div>
  );
}

/**
 * A table for people at a keyboard: sorting, selection, column choice, sticky head, loading and empty states.
 * Give the main cell of each row an element of class `row-link`; j/k travel over those.
 */
export function DataTable<Row>(props: DataTableProps<Row>) {
  const { columns, rows, label } = props;
  const box = useRef<HTMLElement>(null);
  const [sorting, setSorting] = useState<Sorting | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const shown = columns.filter((column) => !hidden.has(column.key));
  const ordered = useMemo(() => sorted(rows ?? [], columns, sorting), [rows, columns, sorting]);
  const sort = (key: string) =>
    setSorting((now) => (now?.key !== key ? { key, down: false } : now.down ? null : { key, down: true }));
  return (
    <div className="list">
      {(props.bar || props.choose) && (
        <div className="list__bar">
          {props.bar}
          {props.choose && <ColumnChooser columns={columns} hidden={hidden} onChange={setHidden} />}
        </div>
      )}
      {rows && rows.length === 0 ? (
        props.empty
      ) : (
        // The box scrolls, so it takes the focus; the keys are short cuts for what Tab and Enter do as well.
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
        <section
          className={props.whole ? 'grid-box grid-box--whole' : 'grid-box'}
          ref={box}
          aria-label={label}
          // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
          tabIndex={0}
          aria-busy={rows === undefined}
          onKeyDown={(event) => moveByKey(event, box.current)}
        >
          <table className="grid">
            <caption className="vh">{label}</caption>
            <Head columns={shown} sorting={sorting} onSort={sort} selectable={Boolean(props.onSelect)} />
            <tbody>
              {rows === undefined && <Skeleton columns={shown} />}
              <Rows table={props} shown={shown} ordered={ordered} />
            </tbody>
          </table>
        </section>
      )}
      {props.foot}
    </div>
  );
}
