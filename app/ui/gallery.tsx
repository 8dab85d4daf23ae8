import { useState, type ReactNode } from 'react';
import { Button, IconButton, Tag } from './button.tsx';
import {
  BarChart,
  Checks,
  CodeBlock,
  Diff,
  Empty,
  Facts,
  Notice,
  Person,
  Stages,
  Tiles,
  Timeline,
} from './display.tsx';
import { ChoiceField, ComboField, FilterSelect, SearchField, SelectField, TextArea, TextField } from './field.tsx';
import { FileDrop } from './file-drop.tsx';
import { GradeChip, grades, TickStrip, type Run } from './grade.tsx';
import { Dialog, Drawer, Menu, toast, toastError, Tooltip } from './overlay.tsx';
import { bytesText, Progress } from './progress.tsx';
import { ProofPanel } from './proof-panel.tsx';
import { DataTable, type Column } from './table.tsx';
import { Tabs } from './tabs.tsx';
import { Ago, Deadline, Instant } from './time.tsx';

function Piece({ id, title, children }: { id: string; title: string; children: ReactNode }) {
  return (
    <section className="gallery__piece" id={id} aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{title}</h2>
      {children}
    </section>
  );
}

const MINUTE = 60_000;
const start = Date.now();
const at = (minutes: number) => new Date(start + minutes * MINUTE).toISOString();

function Type() {
  return (
    <Piece id="type" title="Type and words">
      <div className="prose">
        <p>
          Short sentences, the reader’s words. Body text keeps to 68 characters a line;{' '}
          <a href="#type">links are underlined</a>, <code>ids_and_hashes</code> are set in monospace, <b>weight</b>{' '}
          carries emphasis.
        </p>
        <p className="muted">
          Secondary text is a softer ink, never fainter than 4.5 to 1. Times: <Ago at={at(-3)} />,{' '}
          <Instant at="2026-11-22T19:31:07Z" />.
        </p>
        <p>
          Keys: <kbd>/</kbd> searches, <kbd>j</kbd> and <kbd>k</kbd> move, <kbd>?</kbd> explains.
        </p>
      </div>
    </Piece>
  );
}

const ticks: readonly Run[] = Array.from({ length: 60 }, (_, index) => ({
  at: at(index - 60),
  kind: index === 41 ? 'failing' : index > 17 && index < 21 ? 'gap' : index === 44 ? 'stale' : 'ok',
}));

function Grades() {
  return (
    <Piece id="grades" title="Grade chips and runs">
      <p className="muted">A shape, a word and a colour, in this order of importance.</p>
      <div className="row">
        {grades.map((grade) => (
          <GradeChip key={grade} grade={grade} />
        ))}
      </div>
      <div className="row">
        {grades.map((grade) => (
          <GradeChip key={grade} grade={grade} boxed />
        ))}
      </div>
      <div className="row">
        <GradeChip grade="measured" word="41 days" />
        <GradeChip grade="failing" word="93 days" />
      </div>
      <div className="runs">
        <TickStrip label="Last 60 runs" runs={ticks} />
        <p className="ticks__ends">
          <span>an hour ago</span>
          <span>now</span>
        </p>
      </div>
    </Piece>
  );
}

function Buttons() {
  return (
    <Piece id="buttons" title="Buttons, menus, tooltips">
      <div className="row">
        <Button look="primary">Primary</Button>
        <Button>Plain</Button>
        <Button look="danger">Danger</Button>
        <Button look="quiet">Quiet</Button>
        <Button icon="plus">With icon</Button>
        <Button look="primary" busy>
          Working
        </Button>
        <Button disabled>Disabled</Button>
        <Button small>Small</Button>
        <Tooltip text="What this does, in a few words">
          <Button small>With tooltip</Button>
        </Tooltip>
        <Menu
          trigger={<Button icon="more">Menu</Button>}
          entries={[
            { label: 'Open', icon: 'folder', onSelect: () => toast('Opened') },
            { label: 'Not now', disabled: true, onSelect: () => undefined },
            { label: 'Chosen', checked: true, onSelect: () => undefined },
          ]}
        />
        <IconButton icon="copy" label="Copy" />
      </div>
      <div className="row">
        <Tag>tag</Tag>
        <Tag accent>accent</Tag>
        <Person label="Lead auditor" sub="Harbour Street Audit" />
      </div>
    </Piece>
  );
}

type Fruit = 'fields' | 'objects' | 'backups';
const fruits = [
  { value: 'fields', label: 'Fields' },
  { value: 'objects', label: 'Objects' },
  { value: 'backups', label: 'Backups' },
] as const;

function Fields() {
  const [text, setText] = useState('');
  const [select, setSelect] = useState<Fruit>('fields');
  const [filter, setFilter] = useState<Fruit>('objects');
  const [combo, setCombo] = useState<Fruit | null>(null);
  const [choice, setChoice] = useState<Fruit | null>('fields');
  return (
    <Piece id="fields" title="Fields">
      <div className="form">
        <TextField
          label="Title"
          help="As it should stand on the report"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <TextField label="Client" error="Name the organisation that is audited." value="" onChange={() => undefined} />
        <TextArea label="What you saw" optional help="Facts another auditor could repeat" />
        <div className="form__row">
          <TextField label="Period from" type="date" defaultValue="2026-01-01" />
          <SelectField label="Kind of key" value={select} choices={fruits} onChange={setSelect} />
        </div>
        <ComboField label="Found by typing" value={combo} choices={fruits} onChange={setCombo} />
        <ChoiceField
          label="A few choices"
          name="gallery-choice"
          value={choice}
          onChange={setChoice}
          choices={[
            { value: 'fields', label: 'Fields', help: 'Text in the database' },
            { value: 'objects', label: 'Objects', help: 'Evidence and other files' },
          ]}
        />
        <div className="row">
          <SearchField label="Search" shortcut="/" />
          <FilterSelect label="Filter" value={filter} choices={fruits} onChange={setFilter} />
        </div>
      </div>
    </Piece>
  );
}

interface Row {
  readonly id: string;
  readonly what: string;
  readonly state: (typeof grades)[number];
  readonly size: number;
}
const rows: readonly Row[] = grades.map((state, index) => ({
  id: `row-${index}`,
  what: `Sentence number ${index + 1}`,
  state,
  size: (index * 7919) % 1000,
}));
const columns: readonly Column<Row>[] = [
  {
    key: 'what',
    header: 'What',
    main: true,
    sort: (row) => row.what,
    cell: (row) => (
      <a className="row-link" href={`#${row.id}`}>
        {row.what}
      </a>
    ),
  },
  {
    key: 'state',
    header: 'Grade',
    fit: true,
    sort: (row) => row.state,
    cell: (row) => <GradeChip grade={row.state} />,
  },
  { key: 'size', header: 'Records', align: 'right', fit: true, sort: (row) => row.size, cell: (row) => row.size },
  { key: 'note', header: 'Note', priority: 2, cell: () => <span className="muted">hidden on phones</span> },
];

function Tables() {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set(['row-1']));
  return (
    <Piece id="tables" title="Tables">
      <DataTable
        label="Sentences"
        columns={columns}
        rows={rows}
        rowKey={(row) => row.id}
        selected={selected}
        onSelect={setSelected}
        choose
        whole
        empty={null}
        bar={
          <div className="grow">
            <SearchField label="Filter rows" />
          </div>
        }
      />
      <DataTable label="Loading" columns={columns} rows={undefined} rowKey={(row) => row.id} empty={null} />
      <DataTable
        label="Empty"
        columns={columns}
        rows={[]}
        rowKey={(row) => row.id}
        empty={
          <Empty
            title="Nothing here yet"
            actions={
              <Button look="primary" icon="plus">
                First step
              </Button>
            }
          >
            <p>An empty place says what it is for, and what to do first.</p>
          </Empty>
        }
      />
    </Piece>
  );
}

function Overlays() {
  const [dialog, setDialog] = useState(false);
  const [drawer, setDrawer] = useState(false);
  return (
    <Piece id="overlays" title="Dialog, drawer, toast">
      <div className="row">
        <Button onClick={() => setDialog(true)}>Open dialog</Button>
        <Button onClick={() => setDrawer(true)}>Open drawer</Button>
        <Button onClick={() => toast('Result recorded', 'With an entry in the audit trail.')}>Toast</Button>
        <Button onClick={() => toastError('Not stored', 'The server did not answer.')}>Error toast</Button>
      </div>
      <Dialog
        open={dialog}
        onClose={() => setDialog(false)}
        title="Suspend a person"
        description="All sessions of this person end now. What they recorded stays."
        foot={
          <>
            <Button onClick={() => setDialog(false)}>Cancel</Button>
            <Button look="primary" icon="key" onClick={() => setDialog(false)}>
              Approve with passkey
            </Button>
          </>
        }
      >
        <Facts
          entries={[
            ['operation', 'access.suspend-member'],
            [
              'memberId',
              <span key="id" className="hash">
                mem_7Qk2v0cA9tq1rYwz3L5bHd8sXnP4mEfGjKu6
              </span>,
            ],
          ]}
        />
      </Dialog>
      <Drawer
        open={drawer}
        onClose={() => setDrawer(false)}
        title="One item of a list"
        sub={<GradeChip grade="measured" />}
      >
        <p>Escape closes; the focus goes back to the row.</p>
      </Drawer>
    </Piece>
  );
}

function States() {
  const [tab, setTab] = useState<'one' | 'two'>('one');
  return (
    <Piece id="states" title="Tabs, notices, stages, deadlines, progress">
      <Tabs
        label="Example"
        value={tab}
        onChange={setTab}
        entries={[
          { value: 'one', label: 'Overview', panel: <p>First panel</p> },
          { value: 'two', label: 'Criteria', count: 149, panel: <p>Second panel</p> },
        ]}
      />
      <Notice title="For information">
        <p>Neutral facts that help with the next step.</p>
      </Notice>
      <Notice kind="proven" title="This engagement is final">
        <p>It is read-only.</p>
      </Notice>
      <Notice kind="stale" title="You have one passkey">
        <p>Add a second on another device.</p>
      </Notice>
      <Notice kind="failing" title="The file was not stored">
        <p>Nothing was lost: what had arrived is kept, and the upload goes on where it stopped.</p>
        <p className="muted">
          Request <code>01JD8X6W4T</code>
        </p>
      </Notice>
      <Stages
        stages={['draft', 'fieldwork', 'review', 'final']}
        now="fieldwork"
        words={{ draft: 'Draft', fieldwork: 'Fieldwork', review: 'Review', final: 'Final' }}
      />
      <div className="stack stack--tight">
        <Deadline due={at(60 * 24 * 12)} then="a new key seals" />
        <Deadline due={at(200)} then="the claim turns stale" />
        <Deadline due={at(-30)} then="the claim is stale" />
      </div>
      <div className="stack">
        <Progress
          label="server-logs.tar.zst"
          value={0.42}
          detail={`${bytesText(440_401_920)} of ${bytesText(1_048_576_000)}`}
        />
        <Progress label="access-review.xlsx" value={1} state="done" detail="received" />
        <Progress label="policy.pdf" value={0.7} state="paused" detail="paused" />
        <Progress label="Computing the hash" value={null} />
      </div>
      <FileDrop
        label="Drop files, or choose them"
        help="Any format, up to 8 GiB each"
        onFiles={(files) => toast(`${files.length} chosen`)}
      />
    </Piece>
  );
}

const CHECKPOINT =
  'auditrax.example/log\n8192\n7Zs1rYp0lS0hYb3Qw2f4nV8e6dC9aXk5mJtRuGvHbE0=\n\n— auditrax.example/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n';

function Proofs() {
  return (
    <Piece id="proofs" title="Proof panel, checks, code, diff">
      <ProofPanel
        proof={{
          leafHash: 'fxwrnmSgXTjB56qQs09tIoXPGb4H1KNhfpW4wtDxNmo=',
          index: 4711,
          treeSize: 8192,
          checkpoint: CHECKPOINT,
          path: Array.from({ length: 13 }, (_, index) => `hash ${index}`),
          witnesses: 0,
        }}
        verify={() =>
          Promise.resolve({
            ok: true,
            steps: [
              { name: 'The leaf has this hash', ok: true, detail: 'SHA-256 of 0x00 and the leaf' },
              { name: 'The path leads to the root', ok: true, detail: '13 hashes' },
              { name: 'The checkpoint is signed by the log’s key', ok: true, detail: 'Ed25519' },
            ],
          })
        }
        trusts="sample"
        keyNote="Checked with the key that this server gave. A key from elsewhere proves more."
        openssl={'openssl dgst -sha256 -binary leaf.bin | xxd -p'}
      />
      <Checks
        steps={[
          { name: 'The leaf has this hash', ok: true, detail: 'SHA-256' },
          { name: 'The path leads to the root', ok: false, detail: 'expected 7f1c…, found 90ab…' },
          { name: 'The checkpoint is signed', ok: null, detail: 'not run, since the step before failed' },
        ]}
      />
      <CodeBlock
        label="commands"
        code={'npm run -s prove -- crypto.tls13-only --json\nnpm exec --no -- auditrax verify bundle --key "$LOG_KEY"'}
      />
      <Diff
        changes={[
          { field: 'Outcome', before: 'satisfied', after: 'not satisfied' },
          { field: 'Note', before: null, after: 'Two of twenty accounts had no owner.' },
        ]}
      />
    </Piece>
  );
}

function Records() {
  return (
    <Piece id="records" title="Facts, tiles, timeline, chart">
      <Tiles
        entries={[
          ['Criteria', 149],
          ['Satisfied', 96],
          ['Not satisfied', 4],
          ['Open', 49],
        ]}
      />
      <div className="split split--even">
        <Facts
          entries={[
            ['Client', 'Lakeside Ferries'],
            ['Period', '1 Jan 2026 to 30 Jun 2026'],
            [
              'SHA-256',
              <span key="h" className="hash">
                7f1c2b9e64a05d38c1e7aa90b34f6d2285cf19be07d4a3617e95b8c2d0f4136a
              </span>,
            ],
          ]}
        />
        <Timeline
          events={[
            { key: 'a', at: at(-4), what: 'Result recorded by the lead auditor' },
            { key: 'b', at: at(-90), what: 'Evidence received' },
            { key: 'c', at: at(-60 * 26), what: 'Fieldwork started', open: true },
          ]}
        />
      </div>
      <BarChart
        title="Time to page"
        unit="seconds"
        limit={10}
        points={[3.1, 2.8, 4.4, 3.3, 6.1, 2.9, 3.0, 3.6, 5.2, 3.1, 2.7, 3.4].map((value, index) => ({
          label: `${String(index * 2).padStart(2, '0')}:00`,
          value,
        }))}
      />
    </Piece>
  );
}

/** Every piece of the product on one page, for people and for the browser tests. Needs no session. */
export function Gallery() {
  return (
    <main className="gallery" id="main">
      <header className="stack stack--tight">
        <h1>Gallery</h1>
        <p className="muted prose">
          Every piece the app is made of, in the states it can be in. The browser tests photograph this page in both
          themes.
        </p>
      </header>
      <Type />
      <Grades />
      <Buttons />
      <Fields />
      <Tables />
      <Overlays />
      <States />
      <Proofs />
      <Records />
    </main>
  );
}
