import { Progress as BaseProgress } from '@base-ui/react/progress';

/** `12.3 MiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(size < 10 ? 1 : 0)} ${units[unit]}`;
}

/** Determinate where `value` is known (0 to 1), otherwise "working". */
export function Progress({
  label,
  value,
  detail,
  state = 'running',
}: {
  label: string;
  value: number | null;
  detail?: string;
  state?: 'running' | 'paused' | 'done';
}) {
  const percent = value === null ? null : Math.round(value * 100);
  return (
    <BaseProgress.Root value={percent} aria-label={label} className={`progress progress--${state}`}>
      <div className="progress__line" aria-hidden="true">
        <span>{label}</span>
        <span>{detail ?? (percent === null ? 'working' : `${percent} %`)}</span>
      </div>
      <BaseProgress.Track className="progress__track">
        <BaseProgress.Indicator className="progress__bar" />
      </BaseProgress.Track>
    </BaseProgress.Root>
  );
}
