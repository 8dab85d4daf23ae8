import type { ComponentProps, ReactNode } from 'react';
import { Icon, type IconName } from './icon.tsx';

export type ButtonLook = 'plain' | 'primary' | 'danger' | 'quiet';

/** Class names of a button, for links that look like one. */
export function buttonClass({
  look = 'plain',
  small = false,
  wide = false,
}: { look?: ButtonLook; small?: boolean; wide?: boolean } = {}): string {
  return ['btn', look === 'plain' ? '' : `btn--${look}`, small ? 'btn--small' : '', wide ? 'btn--wide' : '']
    .filter(Boolean)
    .join(' ');
}

export interface ButtonProps extends Omit<ComponentProps<'button'>, 'className'> {
  look?: ButtonLook;
  small?: boolean;
  wide?: boolean;
  icon?: IconName;
  /** Shows that the work is under way; the button keeps its place and its focus but does nothing. */
  busy?: boolean;
}

/** A button. While `busy` it stays focusable (a screen reader's place is not lost) and ignores presses. */
export function Button({
  look,
  small,
  wide,
  icon,
  busy = false,
  children,
  onClick,
  type = 'button',
  ...rest
}: ButtonProps) {
  const look_ = buttonClass({ ...(look && { look }), ...(small && { small }), ...(wide && { wide }) });
  return (
    <button
      {...rest}
      type={type}
      className={look_}
      aria-disabled={busy || undefined}
      onClick={(event) => {
        if (busy) return event.preventDefault();
        onClick?.(event);
      }}
    >
      {busy ? <Icon name="wait" className="spin" /> : icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

/** A button that shows only an icon; `label` is its name. */
export function IconButton({
  icon,
  label,
  small = false,
  ...rest
}: Omit<ComponentProps<'button'>, 'className' | 'children'> & { icon: IconName; label: string; small?: boolean }) {
  return (
    <button
      type="button"
      {...rest}
      className={`btn btn--quiet btn--icon${small ? ' btn--small' : ''}`}
      aria-label={label}
      title={label}
    >
      <Icon name={icon} />
    </button>
  );
}

/** Small status word with a border. */
export function Tag({ children, accent = false }: { children: ReactNode; accent?: boolean }) {
  return <span className={accent ? 'tag tag--accent' : 'tag'}>{children}</span>;
}
