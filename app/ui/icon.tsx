const paths = {
  search: 'M11 11l3 3M7 12.5a5.5 5.5 0 1 1 0-11 5.5 5.5 0 0 1 0 11z',
  check: 'M3 8.5 6.5 12 13 4.5',
  cross: 'M4 4l8 8M12 4l-8 8',
  plus: 'M8 3v10M3 8h10',
  down: 'M4 6l4 4 4-4',
  up: 'M4 10l4-4 4 4',
  right: 'M6 4l4 4-4 4',
  upload: 'M8 10.5V2.5M4.5 6 8 2.5 11.5 6M2.5 10.5v3h11v-3',
  download: 'M8 2.5v8M4.5 7 8 10.5 11.5 7M2.5 10.5v3h11v-3',
  file: 'M4 1.5h5l3 3v10H4zM9 1.5v3h3',
  folder: 'M1.5 3.5h4.5l1.5 2h7v7.5h-13z',
  people:
    'M5.5 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1 13.5c0-2.5 2-4 4.5-4s4.5 1.5 4.5 4M11 3a2.3 2.3 0 0 1 0 4.4M12 9.7c1.8.4 3 1.8 3 3.8',
  key: 'M9 7a3.5 3.5 0 1 0-2 2l1.5 1.5H10V12h1.5v1.5H14V11L9 7zM5 6h.01',
  list: 'M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.01M2.5 8h.01M2.5 12h.01',
  bell: 'M4 11V7a4 4 0 0 1 8 0v4l1.5 1.5h-11zM6.8 14.5h2.4',
  shield: 'M8 1.5l5.5 2v4c0 3.5-2.2 5.8-5.5 7-3.3-1.2-5.5-3.5-5.5-7v-4zM5.5 8l1.8 1.8 3.2-3.5',
  lock: 'M3.5 7h9v6.5h-9zM5.5 7V5a2.5 2.5 0 0 1 5 0v2',
  sun: 'M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1',
  moon: 'M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z',
  screen: 'M1.5 2.5h13v8.5h-13zM5.5 14h5M8 11v3',
  out: 'M6 2.5H2.5v11H6M10.5 11l3-3-3-3M13 8H6',
  menu: 'M2 4h12M2 8h12M2 12h12',
  help: 'M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM6.2 6.2c0-1 .8-1.7 1.8-1.7s1.8.7 1.8 1.7c0 1.3-1.8 1.4-1.8 2.9M8 11.5h.01',
  more: 'M3 8h.5M7.8 8h.5M12.5 8h.5',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  clock: 'M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM8 4.5V8l2.5 1.5',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  play: 'M4.5 3v10l8-5z',
  alert: 'M8 2 15 14H1zM8 6.5v3.5M8 12h.01',
  wait: 'M8 1.5a6.5 6.5 0 1 1-6.5 6.5',
  columns: 'M2 3h12v10H2zM6 3v10M10 3v10',
  external: 'M6 3H2.5v10.5H13V10M9 2.5h4.5V7M13 3 7.5 8.5',
  code: 'M5.5 4.5 2 8l3.5 3.5M10.5 4.5 14 8l-3.5 3.5',
  terminal: 'M1.5 2.5h13v11h-13zM4 6l2.5 2L4 10M8 10.5h4',
  signal:
    'M8 8h.01M4.8 11.2a4.5 4.5 0 0 1 0-6.4M11.2 4.8a4.5 4.5 0 0 1 0 6.4M2.7 13.3a7.5 7.5 0 0 1 0-10.6M13.3 2.7a7.5 7.5 0 0 1 0 10.6',
  clipboard: 'M5.5 2.5h-2v12h9v-12h-2M5.5 1.5h5v2.5h-5zM5.5 9l1.8 1.8 3.2-3.5',
  gone: 'M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 13.5c0-2.5 2-4 4.5-4s4.5 1.5 4.5 4M11 6.5h4',
  building: 'M3 14V2h7v12M10 6h3v8M1.5 14h13M5.5 5h2M5.5 8h2M5.5 11h2',
  enter: 'M10 2.5h3.5v11H10M2 8h7.5M6.5 5l3 3-3 3',
  sliders:
    'M2 5h5.5M11.5 5H14M2 11h2.5M8.5 11H14M9.5 7a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM6.5 13a2 2 0 1 0 0-4 2 2 0 0 0 0 4z',
} as const;

export type IconName = keyof typeof paths;

/** A line icon of 16 units. Decoration only: the word beside it carries the meaning. */
export function Icon({ name, className = '' }: { name: IconName; className?: string }) {
  return (
    <svg className={`icon ${className}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}

/** The mark of the product: a peak with a tick in it. */
export function Mark({ className = 'topbar__mark' }: { className?: string }) {
  return <img className={className} src="/app/mark.svg" alt="" width={22} height={22} />;
}
