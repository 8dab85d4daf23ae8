import { useId, useState, type ReactNode } from 'react';
import { Button } from './button.tsx';
import { Icon } from './icon.tsx';
import { Ago } from './time.tsx';

/** Title of a screen, with what it is for and its actions. */
export function PageHead({
  title,
  children,
  actions,
  trail,
}: {
  title: ReactNode;
  children?: ReactNode;
  actions?: ReactNode;
  trail?: readonly ReactNode[];
}) {
  return (
    <div className="stack stack--tight">
      {trail && (
        <nav aria-label="Breadcrumb">
          <ol className="trail">
            {trail.map((step, index) => (
              <li key={index}>{step}</li>
            ))}
          </ol>
        </nav>
      )}
      <div className="head">
        <div className="head__text">
          <h1 tabIndex={-1}>{title}</h1>
          {children && <p>{children}</p>}
        </div>
        {actions && <div className="head__actions">{actions}</div>}
      </div>
    </div>
  );
}

/** An empty place teaches: what it is for and the first step. */
export function Empty({ title, children, actions }: { title: string; children: ReactNode; actions?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
      {actions && <div className="empty__actions">{actions}</div>}
    </div>
  );
}

/** What happened, what it means, what to do; `failing` is announced at once. */
export function Notice({
  kind = 'info',
  title,
  children,
}: {
  kind?: 'info' | 'stale' | 'failing' | 'proven';
  title: string;
  children?: ReactNode;
}) {
  return (
    <div className={`notice notice--${kind}`} role={kind === 'failing' ? 'alert' : undefined}>
      <p>
        <b>{title}</b>
      </p>
      {children}
    </div>
  );
}

/** Name and role. The mark shows the first letters of the label. */
export function Person({ label, sub }: { label: string; sub?: string | undefined }) {
  const mark = label
    .split(/\s+/)
    .map((word) => word[0] ?? '')
    .join('')
    .slice(0, 2)
    .toUpperCase();
  return (
    <span className="person">
      <span className="person__mark" aria-hidden="true">
        {mark}
      </span>
      <span className="person__text">
        {label}
        {sub && <span className="person__sub">{sub}</span>}
      </span>
    </span>
  );
}

/** Code to read and copy. `wrap` for hashes and JSON without a meaning in its lines. */
export function CodeBlock({ code, label, wrap = false }: { code: string; label: string; wrap?: boolean }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(code);
    setCopied(true);
    setTimeout(() => setCopied(false), 2_000);
  };
  return (
    <div className={wrap ? 'codebox codebox--wrap' : 'codebox'}>
      {/* A long line scrolls inside its box, and whoever has no mouse must be able to scroll it too. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <section className="codebox__scroll" tabIndex={0} aria-label={label}>
        <pre className="code">
          <code>{code}</code>
        </pre>
      </section>
      <Button
        small
        icon={copied ? 'check' : 'copy'}
        onClick={() => void copy()}
        aria-label={copied ? 'Copied' : `Copy ${label}`}
      >
        {copied ? 'Copied' : 'Copy'}
      </Button>
    </div>
  );
}

/** A hash, an id or another machine word, in monospace, broken anywhere. */
export function Hash({ text }: { text: string }) {
  return <span className="hash">{text}</span>;
}

/** Pairs of name and value. */
export function Facts({ entries }: { entries: readonly (readonly [name: string, value: ReactNode])[] }) {
  return (
    <dl className="facts">
      {entries.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A few figures side by side. */
export function Tiles({ entries }: { entries: readonly (readonly [name: string, value: ReactNode])[] }) {
  return (
    <dl className="tiles">
      {entries.map(([name, value]) => (
        <div key={name} className="tile">
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export interface Event {
  readonly key: string;
  readonly at: string;
  readonly what: ReactNode;
  readonly open?: boolean;
}

/** What happened, newest first. */
export function Timeline({ events }: { events: readonly Event[] }) {
  return (
    <ol className="timeline">
      {events.map((event) => (
        <li key={event.key} className={event.open ? 'is-open' : undefined}>
          <div>
            {event.what}{' '}
            <div className="timeline__time">
              <Ago at={event.at} />
            </div>
          </div>
        </li>
      ))}
    </ol>
  );
}

/** Where something stands on its way. */
export function Stages<T extends string>({
  stages,
  now,
  words,
}: {
  stages: readonly T[];
  now: T;
  words: Readonly<Record<T, string>>;
}) {
  const at = stages.indexOf(now);
  return (
    <ol className="stages">
      {stages.map((stage, index) => (
        <li
          key={stage}
          className={`stage${index < at ? ' stage--done' : index === at ? ' stage--now' : ''}`}
          aria-current={index === at ? 'step' : undefined}
        >
          {words[stage]}
          {index < at && <span className="vh"> (done)</span>}
        </li>
      ))}
    </ol>
  );
}

/** Before and after of each field. */
export function Diff({
  changes,
}: {
  changes: readonly { field: string; before: string | null; after: string | null }[];
}) {
  return (
    <dl className="diff">
      {changes.map((change) => (
        <div key={change.field} className="diff__row">
          <dt>{change.field}</dt>
          <dd>
            {change.before === null ? (
              <span className="muted">nothing</span>
            ) : (
              <del>
                <span className="vh">before: </span>
                {change.before}
              </del>
            )}
          </dd>
          <dd>
            {change.after === null ? (
              <span className="muted">nothing</span>
            ) : (
              <ins>
                <span className="vh">after: </span>
                {change.after}
              </ins>
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

export interface ChartPoint {
  readonly label: string;
  readonly value: number;
}

function FiguresTable({ unit, points }: { unit: string; points: readonly ChartPoint[] }) {
  return (
    <details>
      <summary>Figures as a table</summary>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col" className="right">
              {unit}
            </th>
          </tr>
        </thead>
        <tbody>
          {points.map((point) => (
            <tr key={point.label}>
              <th scope="row">{point.label}</th>
              <td className="right">{point.value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

/** Bars with a limit line, and the same figures as a table for those who do not see or do not trust a picture. */
export function BarChart({
  title,
  unit,
  points,
  limit,
}: {
  title: string;
  unit: string;
  points: readonly ChartPoint[];
  limit?: number;
}) {
  const id = useId();
  const top = Math.max(limit ?? 0, ...points.map((point) => point.value), 1) * 1.1;
  const width = 640;
  const height = 160;
  const step = (width - 40) / Math.max(1, points.length);
  const y = (value: number) => height - 20 - (value / top) * (height - 36);
  return (
    <figure className="chart" aria-labelledby={id}>
      <figcaption id={id}>
        <b>{title}</b> <span className="muted">in {unit}</span>
      </figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={`${title}; the figures stand in the table below`}>
        <line className="chart__rule" x1="36" x2={width} y1={height - 20} y2={height - 20} />
        {points.map((point, index) => (
          <g key={point.label}>
            <rect
              className="chart__bar"
              x={40 + index * step}
              y={y(point.value)}
              width={Math.max(2, step - 4)}
              height={Math.max(1, height - 20 - y(point.value))}
            />
            {index % Math.ceil(points.length / 8) === 0 && (
              <text x={40 + index * step} y={height - 6}>
                {point.label}
              </text>
            )}
          </g>
        ))}
        {limit !== undefined && <line className="chart__limit" x1="36" x2={width} y1={y(limit)} y2={y(limit)} />}
        {limit !== undefined && (
          <text x="0" y={y(limit) + 4}>
            {limit}
          </text>
        )}
      </svg>
      <FiguresTable unit={unit} points={points} />
    </figure>
  );
}

export interface CheckStep {
  readonly name: string;
  readonly ok: boolean | null;
  readonly detail: string;
}

/** Steps of a check: passed, failed, or not yet run. */
export function Checks({ steps }: { steps: readonly CheckStep[] }) {
  return (
    <ol className="checks">
      {steps.map((step) => (
        <li key={step.name} className={`check check--${step.ok === null ? 'wait' : step.ok ? 'ok' : 'failed'}`}>
          <Icon name={step.ok === null ? 'clock' : step.ok ? 'check' : 'cross'} className="check__mark" />
          <div>
            <span className="vh">{step.ok === null ? 'Not run: ' : step.ok ? 'Passed: ' : 'Failed: '}</span>
            {step.name}
            <div className="check__detail">{step.detail}</div>
          </div>
        </li>
      ))}
    </ol>
  );
}
