import { Tabs as BaseTabs } from '@base-ui/react/tabs';
import type { ReactNode } from 'react';

export interface TabEntry<T extends string> {
  readonly value: T;
  readonly label: string;
  readonly count?: number | undefined;
  readonly panel: ReactNode;
}

/** Tabs with arrow keys; the value is held outside, so that a tab can stand in the address. */
export function Tabs<T extends string>({
  value,
  onChange,
  entries,
  label,
}: {
  value: T;
  onChange: (value: T) => void;
  entries: readonly TabEntry<T>[];
  label: string;
}) {
  return (
    <BaseTabs.Root value={value} onValueChange={(next) => onChange(next as T)}>
      <BaseTabs.List className="tabs__list" aria-label={label}>
        {entries.map((entry) => (
          <BaseTabs.Tab key={entry.value} value={entry.value} className="tab">
            {entry.label}
            {entry.count !== undefined && <span className="tab__count">{entry.count}</span>}
          </BaseTabs.Tab>
        ))}
      </BaseTabs.List>
      {entries.map((entry) => (
        <BaseTabs.Panel key={entry.value} value={entry.value} className="tabs__panel">
          {entry.panel}
        </BaseTabs.Panel>
      ))}
    </BaseTabs.Root>
  );
}
