import { Combobox } from '@base-ui/react/combobox';
import { Select } from '@base-ui/react/select';
import { useId, type ComponentProps, type ReactNode } from 'react';
import { Icon } from './icon.tsx';

interface FieldFrame {
  label: string;
  help?: ReactNode;
  error?: string | undefined;
  optional?: boolean;
}

interface FieldIds {
  id: string;
  'aria-describedby': string | undefined;
  'aria-invalid': true | undefined;
}

/** Label, help and error of any control; `children` gets the ids that tie them together. */
export function Field({
  label,
  help,
  error,
  optional = false,
  children,
}: FieldFrame & { children: (ids: FieldIds) => ReactNode }) {
  const id = useId();
  const described = [help ? `${id}-help` : '', error ? `${id}-error` : ''].filter(Boolean).join(' ');
  return (
    <div className="field">
      <label className="field__label" htmlFor={id}>
        {label} {optional && <span className="field__opt">(optional)</span>}
      </label>
      {help && (
        <div className="field__help" id={`${id}-help`}>
          {help}
        </div>
      )}
      {children({ id, 'aria-describedby': described || undefined, 'aria-invalid': error ? true : undefined })}
      {error && (
        <p className="field__error" id={`${id}-error`} role="alert">
          {error}
        </p>
      )}
    </div>
  );
}

/** One line of text (or a date, with `type="date"`). */
export function TextField({
  label,
  help,
  error,
  optional,
  ...rest
}: FieldFrame & Omit<ComponentProps<'input'>, 'className'>) {
  return (
    <Field label={label} help={help} error={error} {...(optional && { optional })}>
      {(ids) => <input {...rest} {...ids} className={rest.type === 'date' ? 'input input--date' : 'input'} />}
    </Field>
  );
}

/** Several lines of text. */
export function TextArea({
  label,
  help,
  error,
  optional,
  ...rest
}: FieldFrame & Omit<ComponentProps<'textarea'>, 'className'>) {
  return (
    <Field label={label} help={help} error={error} {...(optional && { optional })}>
      {(ids) => <textarea {...rest} {...ids} className="input" />}
    </Field>
  );
}

/** A search box; `shortcut` names the key that jumps to it. */
export function SearchField({
  label,
  shortcut,
  ...rest
}: Omit<ComponentProps<'input'>, 'className' | 'type'> & { label: string; shortcut?: string }) {
  return (
    <div className="with-icon">
      <Icon name="search" />
      <input
        {...rest}
        type="search"
        className="input input--search"
        aria-label={label}
        placeholder={rest.placeholder ?? label}
        data-search={shortcut === '/' ? '' : undefined}
      />
      {shortcut && !rest.value && <kbd aria-hidden="true">{shortcut}</kbd>}
    </div>
  );
}

export interface Choice<T extends string> {
  readonly value: T;
  readonly label: string;
  readonly help?: string;
}

/** A few choices, all visible. */
export function ChoiceField<T extends string>(props: {
  label: string;
  name: string;
  value: T | null;
  choices: readonly Choice<T>[];
  onChange: (value: T) => void;
  row?: boolean;
  error?: string | undefined;
}) {
  const id = useId();
  return (
    <fieldset className="field" aria-describedby={props.error ? `${id}-error` : undefined}>
      <legend className="field__label">{props.label}</legend>
      <div className={props.row ? 'choices choices--row' : 'choices'}>
        {props.choices.map((choice) => (
          <label key={choice.value} className="choice">
            <input
              type="radio"
              name={props.name}
              value={choice.value}
              checked={props.value === choice.value}
              onChange={() => props.onChange(choice.value)}
            />
            <span>{choice.label}</span>
            {choice.help && <span className="choice__help">{choice.help}</span>}
          </label>
        ))}
      </div>
      {props.error && (
        <p className="field__error" id={`${id}-error`} role="alert">
          {props.error}
        </p>
      )}
    </fieldset>
  );
}

/** Any number of a few, none at first. */
export function ChecksField(props: {
  label: string;
  help?: string;
  /** What a form that is sent calls the chosen ones. */
  name?: string;
  chosen: ReadonlySet<string>;
  choices: readonly Choice<string>[];
  onToggle: (value: string) => void;
}) {
  const id = useId();
  return (
    <fieldset className="field" aria-describedby={props.help ? `${id}-help` : undefined}>
      <legend className="field__label">{props.label}</legend>
      {props.help && (
        <div className="field__help" id={`${id}-help`}>
          {props.help}
        </div>
      )}
      <div className="choices">
        {props.choices.map(({ value, label, help }) => (
          <label key={value} className="choice">
            <input
              type="checkbox"
              name={props.name}
              value={value}
              checked={props.chosen.has(value)}
              onChange={() => props.onToggle(value)}
            />
            <span>{label}</span>
            {help && <span className="choice__help">{help}</span>}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

interface SelectProps<T extends string> {
  label: string;
  value: T;
  choices: readonly Choice<T>[];
  onChange: (value: T) => void;
  small?: boolean;
}

function SelectBox<T extends string>({
  label,
  value,
  choices,
  onChange,
  small = false,
  id,
  labelled,
}: SelectProps<T> & { id?: string; labelled: boolean }) {
  return (
    <Select.Root
      items={choices.map(({ value: v, label: l }) => ({ value: v, label: l }))}
      value={value}
      onValueChange={(next) => next !== null && onChange(next)}
    >
      <Select.Trigger
        id={id}
        className={`input select${small ? ' select--small' : ''}`}
        {...(!labelled && { 'aria-label': label })}
      >
        <Select.Value />
        <Select.Icon>
          <Icon name="down" />
        </Select.Icon>
      </Select.Trigger>
      <Select.Portal>
        <Select.Positioner className="pop" sideOffset={4} alignItemWithTrigger={false}>
          <Select.Popup className="menu">
            {choices.map((choice) => (
              <Select.Item key={choice.value} value={choice.value} className="menu__item">
                <span className="menu__check">
                  <Select.ItemIndicator>
                    <Icon name="check" />
                  </Select.ItemIndicator>
                </span>
                <Select.ItemText>{choice.label}</Select.ItemText>
              </Select.Item>
            ))}
          </Select.Popup>
        </Select.Positioner>
      </Select.Portal>
    </Select.Root>
  );
}

/** One of a few fixed values, in a form. */
export function SelectField<T extends string>({
  help,
  error,
  ...rest
}: SelectProps<T> & { help?: string; error?: string }) {
  return (
    <Field label={rest.label} help={help} error={error}>
      {({ id }) => <SelectBox {...rest} id={id} labelled />}
    </Field>
  );
}

/** The same without a visible label, for filter bars; the label is its name. */
export function FilterSelect<T extends string>(props: SelectProps<T>) {
  return <SelectBox {...props} small labelled={false} />;
}

/** One of many values, found by typing. */
export function ComboField<T extends string>({
  label,
  help,
  error,
  value,
  choices,
  onChange,
  empty = 'Nothing matches.',
}: FieldFrame & {
  value: T | null;
  choices: readonly Choice<T>[];
  onChange: (value: T | null) => void;
  empty?: string;
}) {
  const current = choices.find((choice) => choice.value === value) ?? null;
  return (
    <Field label={label} help={help} error={error}>
      {(ids) => (
        <Combobox.Root
          items={choices}
          value={current}
          onValueChange={(next) => onChange(next?.value ?? null)}
          isItemEqualToValue={(a, b) => a.value === b.value}
        >
          <Combobox.Input {...ids} className="input" placeholder="Type to search" />
          <Combobox.Portal>
            <Combobox.Positioner className="pop" sideOffset={4}>
              <Combobox.Popup className="menu" aria-label={label}>
                <Combobox.Empty>{<div className="menu__text">{empty}</div>}</Combobox.Empty>
                <Combobox.List>
                  {(item: Choice<T>) => (
                    <Combobox.Item key={item.value} value={item} className="menu__item">
                      <span className="menu__check">
                        <Combobox.ItemIndicator>
                          <Icon name="check" />
                        </Combobox.ItemIndicator>
                      </span>
                      <span>
                        {item.label}
                        {item.help && <span className="person__sub">{item.help}</span>}
                      </span>
                    </Combobox.Item>
                  )}
                </Combobox.List>
              </Combobox.Popup>
            </Combobox.Positioner>
          </Combobox.Portal>
        </Combobox.Root>
      )}
    </Field>
  );
}
