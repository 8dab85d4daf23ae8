import { useId, useState, type DragEvent } from 'react';
import { Icon } from './icon.tsx';

/** A place for files: drop, or press to choose. The same by keyboard, since it is a real file input. */
export function FileDrop({
  label,
  help,
  accept,
  multiple = false,
  onFiles,
  disabled = false,
}: {
  label: string;
  help: string;
  accept?: string;
  multiple?: boolean;
  onFiles: (files: readonly File[]) => void;
  disabled?: boolean;
}) {
  const id = useId();
  const [over, setOver] = useState(false);
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    if (!disabled) onFiles([...event.dataTransfer.files]);
  };
  return (
    // Dropping is a short cut; the same is done by keyboard at the file input inside.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <label
      className="drop"
      htmlFor={id}
      data-over={over}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <Icon name="upload" />
      <span>
        <b>{label}</b>
      </span>
      <span className="drop__help" id={`${id}-help`}>
        {help}
      </span>
      <input
        id={id}
        className="vh"
        type="file"
        accept={accept}
        multiple={multiple}
        disabled={disabled}
        aria-describedby={`${id}-help`}
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          event.target.value = '';
        }}
      />
    </label>
  );
}
