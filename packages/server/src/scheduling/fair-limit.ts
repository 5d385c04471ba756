/** Tasks of one name. */
interface Lane {
  /** Number of tasks that hold a place. */
  placed: number;
  /** Number of tasks that have not ended, with or without a place. */
  running: number;
  /** How many have ended so far. */
  ended: number;
  readonly waiting: (() => void)[];
}

// Maximum number of running tasks for each place, if tasks hang.
const MAX_RUNNING_PER_PLACE = 20;
// After so many times `slowMs`, while hardly any other task ends, a task runs without a place.
const PATIENCE = 3;

/**
 * Limits the concurrent tasks of one name. Waiting tasks run in order, so none starves. With `slowMs`, tasks that hang delay
 * nobody: one that takes longer gives up its place and continues. A task waits at most three times as long while fewer tasks
 * end than there are places. Then at most twenty times as many run.
 */
export class FairLimit {
  readonly #lanes = new Map<string, Lane>();
  readonly #slowMs: number | undefined;

  constructor({ slowMs }: { slowMs?: number } = {}) {
    this.#slowMs = slowMs;
  }

  async run<T>(name: string, limit: number, task: () => Promise<T>): Promise<T> {
    const lane = this.#laneOf(name);
    let hasPlace = await this.#enter(lane, limit);
    const givePlace = () => {
      // If too many tasks hang, the others wait until some have ended.
      if (!hasPlace || lane.running >= limit * MAX_RUNNING_PER_PLACE) return;
      hasPlace = false;
      lane.placed -= 1;
      admit(lane, limit);
    };
    const slow = this.#slowMs === undefined ? undefined : setInterval(givePlace, this.#slowMs).unref();
    try {
      return await task();
    } finally {
      clearInterval(slow);
      lane.running -= 1;
      lane.ended += 1;
      if (hasPlace) lane.placed -= 1;
      admit(lane, limit);
      if (lane.running === 0) this.#lanes.delete(name);
    }
  }

  /** Whether a task that came now would have to wait. */
  isFull(name: string, limit: number): boolean {
    const lane = this.#lanes.get(name);
    return lane !== undefined && !hasRoom(lane, limit);
  }

  /** Waits for a place. False when the task runs without one, since others hang. */
  async #enter(lane: Lane, limit: number): Promise<boolean> {
    if (hasRoom(lane, limit)) {
      take(lane);
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const enter = () => resolve(true);
    lane.waiting.push(enter);
    const endedBefore = lane.ended;
    const overtake = () => {
      const areHanging = lane.ended - endedBefore < limit && lane.running < limit * MAX_RUNNING_PER_PLACE;
      if (!areHanging) return;
      lane.waiting.splice(lane.waiting.indexOf(enter), 1);
      lane.running += 1;
      resolve(false);
    };
    const patience = this.#slowMs === undefined ? undefined : setTimeout(overtake, this.#slowMs * PATIENCE).unref();
    return promise.finally(() => clearTimeout(patience));
  }

  #laneOf(name: string): Lane {
    const known = this.#lanes.get(name);
    if (known) return known;
    const lane: Lane = { placed: 0, running: 0, ended: 0, waiting: [] };
    this.#lanes.set(name, lane);
    return lane;
  }
}

function hasRoom(lane: Lane, limit: number): boolean {
  return lane.placed < limit && lane.waiting.length === 0;
}

function take(lane: Lane): void {
  lane.placed += 1;
  lane.running += 1;
}

function admit(lane: Lane, limit: number): void {
  while (lane.placed < limit) {
    const next = lane.waiting.shift();
    if (!next) return;
    take(lane);
    next();
  }
}
