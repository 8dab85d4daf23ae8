import { Dialog as BaseDialog } from '@base-ui/react/dialog';
import { Menu as BaseMenu } from '@base-ui/react/menu';
import { Toast } from '@base-ui/react/toast';
import { Tooltip as BaseTooltip } from '@base-ui/react/tooltip';
import { useRef, type ReactElement, type ReactNode } from 'react';
import { Icon, type IconName } from './icon.tsx';

export interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  description?: ReactNode;
  children?: ReactNode;
  foot: ReactNode;
  wide?: boolean;
}

/** A modal dialog: focus goes in, stays in, and returns to where it came from; Escape closes. */
export function Dialog({ open, onClose, title, description, children, foot, wide = false }: DialogProps) {
  return (
    <BaseDialog.Root
      open={open}
      onOpenChange={(next) => {
        if (!next) onClose();
      }}
    >
      <BaseDialog.Portal>
        <BaseDialog.Backdrop className="veil" />
        <BaseDialog.Popup className={wide ? 'dialog dialog--wide' : 'dialog'}>
          <BaseDialog.Title className="dialog__title">{title}</BaseDialog.Title>
          {description && (
            <BaseDialog.Description className="muted" render={<div />}>
              {description}
            </BaseDialog.Description>
          )}
          {children}
          <div className="dialog__foot">{foot}</div>
        </BaseDialog.Popup>
      </BaseDialog.Portal>
    </BaseDialog.Root>
  );
}

export interface MenuEntry {
  readonly label: string;
  readonly icon?: IconName;
  readonly onSelect: () => void;
  readonly disabled?: boolean;
  readonly checked?: boolean;
  /** Takes something away: coloured, so that nobody chooses it for its neighbour. */
  readonly isDanger?: boolean;
}

/** A menu of actions under a button; `head` is text above them. */
export function Menu({
  trigger,
  entries,
  head,
}: {
  trigger: ReactElement;
  entries: readonly MenuEntry[];
  head?: ReactNode;
}) {
  return (
    <BaseMenu.Root>
      <BaseMenu.Trigger render={trigger} />
      <BaseMenu.Portal>
        <BaseMenu.Positioner className="pop" sideOffset={4} align="end">
          <BaseMenu.Popup className="menu">
            {head && <div className="menu__text">{head}</div>}
            {head && <div className="menu__rule" />}
            {entries.map((entry) =>
              entry.checked === undefined ? (
                <BaseMenu.Item
                  key={entry.label}
                  className={entry.isDanger ? 'menu__item menu__item--danger' : 'menu__item'}
                  onClick={entry.onSelect}
                  disabled={entry.disabled ?? false}
                >
                  {entry.icon && <Icon name={entry.icon} />}
                  {entry.label}
                </BaseMenu.Item>
              ) : (
                <BaseMenu.CheckboxItem
                  key={entry.label}
                  className="menu__item"
                  checked={entry.checked}
                  onCheckedChange={entry.onSelect}
                >
                  <span className="menu__check">
                    <BaseMenu.CheckboxItemIndicator>
                      <Icon name="check" />
                    </BaseMenu.CheckboxItemIndicator>
                  </span>
                  {entry.icon && <Icon name={entry.icon} />}
                  {entry.label}
                </BaseMenu.CheckboxItem>
              ),
            )}
          </BaseMenu.Popup>
        </BaseMenu.Positioner>
      </BaseMenu.Portal>
    </BaseMenu.Root>
  );
}

/** A short hint on hover and focus. Never the only place of a fact. */
export function Tooltip({ text, children }: { text: string; children: ReactElement }) {
  return (
    <BaseTooltip.Root>
      <BaseTooltip.Trigger render={children} />
      <BaseTooltip.Portal>
        <BaseTooltip.Positioner className="pop" sideOffset={6}>
          <BaseTooltip.Popup className="tooltip">{text}</BaseTooltip.Popup>
        </BaseTooltip.Positioner>
      </BaseTooltip.Portal>
    </BaseTooltip.Root>
  );
}

const toasts = Toast.createToastManager();

/** Says that something has happened. Polite: it does not take the focus. */
export function toast(title: string, description?: string): void {
  toasts.add({ title, ...(description && { description }) });
}

/** Says that something went wrong; the same words also stand where the action was. */
export function toastError(title: string, description?: string): void {
  toasts.add({ title, type: 'error', timeout: 12_000, ...(description && { description }) });
}

function ToastList() {
  const { toasts: current } = Toast.useToastManager();
  return current.map((item) => (
    <Toast.Root key={item.id} toast={item} className="toast">
      <Toast.Content className="toast__in">
        <Toast.Title className="toast__title" />
        <Toast.Description className="toast__text" />
        <Toast.Close className="btn btn--quiet btn--icon btn--small" aria-label="Dismiss">
          <Icon name="cross" />
        </Toast.Close>
      </Toast.Content>
    </Toast.Root>
  ));
}

/** Provides toasts and tooltips; once, around the app. */
export function OverlayProvider({ children }: { children: ReactNode }) {
  return (
    <Toast.Provider toastManager={toasts} timeout={5_000} limit={2}>
      <BaseTooltip.Provider delay={300}>{children}</BaseTooltip.Provider>
      <Toast.Portal>
        <Toast.Viewport className="toasts">
          <ToastList />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  );
}

/** A panel from the side for one item of a list; Escape closes and the focus returns to the row. */
export function Drawer({
  open,
  onClose,
  title,
  sub,
  children,
}: {
  open: boolean;
  onClose: () => void;
  title: string;
  sub?: ReactNode;
  children: ReactNode;
}) {
  const popup = useRef<HTMLDivElement>(null);
  return (
    <BaseDialog.Root
      open={open}
      onOpenChange={(next) => {
        if (!next) onClose();
      }}
    >
      <BaseDialog.Portal>
        <BaseDialog.Backdrop className="veil" />
        <BaseDialog.Popup className="drawer" ref={popup} initialFocus={popup}>
          <div className="drawer__head">
            <div className="stack stack--tight">
              {sub}
              <BaseDialog.Title className="dialog__title">{title}</BaseDialog.Title>
            </div>
            <BaseDialog.Close className="btn btn--quiet btn--icon" aria-label="Close">
              <Icon name="cross" />
            </BaseDialog.Close>
          </div>
          {children}
        </BaseDialog.Popup>
      </BaseDialog.Portal>
    </BaseDialog.Root>
  );
}
