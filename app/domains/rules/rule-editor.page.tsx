import { useId, useRef, type KeyboardEvent } from 'react';
import type { RuleProblem } from './contract.ts';

interface EditorProps {
  readonly value: string;
  readonly onChange: (text: string) => void;
  readonly problems: readonly RuleProblem[];
}

/** Where a line of the text begins. */
function offsetOf(text: string, line: number): number {
  return text
    .split('\n')
    .slice(0, line - 1)
    .reduce((sum, words) => sum + words.length + 1, 0);
}

/** Tab indents while text is being written; Escape, then Tab, leaves the field, so that no keyboard is trapped. */
function useIndent(value: string, onChange: (text: string) => void) {
  const leaving = useRef(false);
  return (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.key === 'Escape') leaving.current = true;
    else if (event.key === 'Tab' && !event.shiftKey && !leaving.current) {
      event.preventDefault();
      const { selectionStart: from, selectionEnd: to } = event.currentTarget;
      const field = event.currentTarget;
      onChange(`${value.slice(0, from)}  ${value.slice(to)}`);
      requestAnimationFrame(() => field.setSelectionRange(from + 2, from + 2));
    } else if (event.key !== 'Tab') leaving.current = false;
  };
}

/** A text of rules with numbered lines; a line with a problem is marked, and its problem leads to it. */
export function RuleEditor({ value, onChange, problems }: EditorProps) {
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  const indent = useIndent(value, onChange);
  const lines = value.split('\n').length;
  const faulty = new Set(problems.map(({ line }) => line));
  const go = (line: number) => {
    const from = offsetOf(value, line);
    field.current?.focus();
    field.current?.setSelectionRange(from, from + (value.split('\n')[line - 1]?.length ?? 0));
  };
  return (
    <div className="field">
      <label className="field__label" htmlFor={id}>
        Rules
      </label>
      <div className="field__help" id={`${id}-help`}>
        Plain Cedar. Tab indents; Escape and then Tab leaves the field.
      </div>
      <div className="ruled">
        <div className="ruled__gutter" aria-hidden="true">
          {Array.from({ length: lines }, (_, index) => (
            <span key={index} data-faulty={faulty.has(index + 1) || undefined}>
              {index + 1}
            </span>
          ))}
        </div>
        <textarea
          ref={field}
          id={id}
          className="ruled__text"
          rows={Math.max(12, lines + 1)}
          wrap="off"
          spellCheck={false}
          autoComplete="off"
          autoCapitalize="off"
          value={value}
          aria-describedby={`${id}-help ${id}-problems`}
          aria-invalid={problems.length > 0 || undefined}
          onChange={(event) => onChange(event.target.value)}
          onKeyDown={indent}
        />
      </div>
      <ul className="ruled__problems" id={`${id}-problems`} aria-live="polite">
        {problems.map((problem) => (
          <li key={`${problem.line} ${problem.column} ${problem.message}`}>
            <button type="button" className="ruled__go" onClick={() => go(problem.line)}>
              Line {problem.line}
            </button>{' '}
            {problem.message}. {problem.help}
          </li>
        ))}
      </ul>
    </div>
  );
}
