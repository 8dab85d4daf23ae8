import type { PlacedSystemDoor, Statement, SystemDoor } from '@auditrax/tenancy';

/** Cells asked at the same time: a house with many must not take every connection of the issuer for one cookie. */
const CELLS_AT_ONCE_MAX = 16;
/** A cell that is away keeps nobody of another one waiting longer. */
const CELL_ANSWER_MS_MAX = 1_000;

async function answerOf<Row>(door: SystemDoor, statement: Statement<Row>): Promise<readonly Row[]> {
  const late = Promise.withResolvers<readonly Row[]>();
  const timer = setTimeout(() => late.resolve([]), CELL_ANSWER_MS_MAX);
  // What is in a cell that is away cannot be used anyway, so for everybody else it is not there: closed, not open.
  const found = door.system(statement).catch(() => []);
  return Promise.race([found, late.promise]).finally(() => clearTimeout(timer));
}

async function elsewhere<Row>(doors: readonly SystemDoor[], statement: Statement<Row>): Promise<Row[]> {
  const found: Row[] = [];
  for (let first = 0; first < doors.length; first += CELLS_AT_ONCE_MAX) {
    const some = doors.slice(first, first + CELLS_AT_ONCE_MAX);
    for (const rows of await Promise.all(some.map((door) => answerOf(door, statement)))) found.push(...rows);
  }
  return found;
}

/**
 * The row behind the hash of a secret, before its tenant is known: home first, then every other cell and all of them, so
 * that an answer does not tell which one it came from. A row that a move has left behind leads to the same tenant, whose
 * own rows decide. Throws what home throws.
 */
export async function findBySecret<Row>(system: PlacedSystemDoor, statement: Statement<Row>): Promise<Row | undefined> {
  const [home, ...others] = system.everywhere().map((cell) => cell.system);
  const [atHome] = await home!.system(statement);
  return atHome ?? (await elsewhere(others, statement))[0];
}

/**
 * Every row of what others may know, such as a passkey's id: all cells are asked, whatever the first ones say. Throws
 * what home throws.
 */
export async function findEverywhere<Row>(system: PlacedSystemDoor, statement: Statement<Row>): Promise<Row[]> {
  const [home, ...others] = system.everywhere().map((cell) => cell.system);
  const [atHome, found] = await Promise.all([home!.system(statement), elsewhere(others, statement)]);
  return [...atHome, ...found];
}

/** Runs a sweep in every cell; one that is away is swept when it is back. Throws the first failure, after all had a turn. */
export async function sweepEverywhere(system: PlacedSystemDoor, statement: Statement): Promise<void> {
  const outcomes = await Promise.allSettled(system.everywhere().map((cell) => cell.system.system(statement)));
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}
