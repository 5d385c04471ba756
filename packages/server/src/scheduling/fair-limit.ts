/** The tasks of one name. */
interface Lane {
  /** Number of tasks that hold a place. */
  placed: number;
  /** Number of tasks that have not ended, with or without a place. */
  running: number;
  /** Number of tasks that have ended. */
  ended: number;
  readonly waiting: (() => void)[];
}

// Maximum number of running tasks for each place, if tasks hang.
const MAX_RUNNING_PER_PLACE = 20;
// Multiple of `slowMs` after which a waiting task runs without a place, if the other tasks hang.
const WAIT_FACTOR = 3;

/**
 * Limits the concurrent tasks of one name. Waiting tasks run in order. With `slowMs`, tasks that hang do not block
 * others: a task that takes longer than `slowMs` gives up its place and continues. If still fewer tasks end than there
 * are places, a waiting task runs without a place after three times `slowMs`. At most twenty tasks run for each place.
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
    const releasePlace = () => {
      // If too many tasks hang, the others wait until some have ended.
      if (!hasPlace || lane.running >= limit * MAX_RUNNING_PER_PLACE) return;
      hasPlace = false;
      lane.placed -= 1;
      admitWaiting(lane, limit);
    };
    const slow = this.#slowMs === undefined ? undefined : setInterval(releasePlace, this.#slowMs).unref();
    try {
      return await task();
    } finally {
      clearInterval(slow);
      lane.running -= 1;
      lane.ended += 1;
      if (hasPlace) lane.placed -= 1;
      admitWaiting(lane, limit);
      if (lane.running === 0) this.#lanes.delete(name);
    }
  }

  /** Whether a new task would have to wait. */
  isFull(name: string, limit: number): boolean {
    const lane = this.#lanes.get(name);
    return lane !== undefined && !hasRoom(lane, limit);
  }

  /** Waits for a place. Resolves to false if the task runs without one, because others hang. */
  async #enter(lane: Lane, limit: number): Promise<boolean> {
    if (hasRoom(lane, limit)) {
      takePlace(lane);
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const enter = () => resolve(true);
    lane.waiting.push(enter);
    const endedBefore = lane.ended;
    const runWithoutPlace = () => {
      const areHanging = lane.ended - endedBefore < limit && lane.running < limit * MAX_RUNNING_PER_PLACE;
      if (!areHanging) return;
      lane.waiting.splice(lane.waiting.indexOf(enter), 1);
      lane.running += 1;
      resolve(false);
    };
    const timer =
      this.#slowMs === undefined ? undefined : setTimeout(runWithoutPlace, this.#slowMs * WAIT_FACTOR).unref();
    return promise.finally(() => clearTimeout(timer));
  }

  #laneOf(name: string): Lane {
    const existing = this.#lanes.get(name);
    if (existing) return existing;
    const lane: Lane = { placed: 0, running: 0, ended: 0, waiting: [] };
    this.#lanes.set(name, lane);
    return lane;
  }
}

function hasRoom(lane: Lane, limit: number): boolean {
  return lane.placed < limit && lane.waiting.length === 0;
}

function takePlace(lane: Lane): void {
  lane.placed += 1;
  lane.running += 1;
}

function admitWaiting(lane: Lane, limit: number): void {
  while (lane.placed < limit) {
    const next = lane.waiting.shift();
    if (!next) return;
    takePlace(lane);
    next();
  }
}
