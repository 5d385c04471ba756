/** Tasks of one name. */
interface Lane {
  /** Those that hold a place. */
  placed: number;
  /** Those that have not ended, with or without a place. */
  running: number;
  /** How many have ended so far. */
  ended: number;
  readonly waiting: (() => void)[];
}

// Tasks that hang run beside the others, up to so many for each place.
const MAX_RUNNING_PER_PLACE = 20;
// How many times `slowMs` a task waits while hardly any other ends, before it runs without a place.
const PATIENCE = 3;

/**
 * Runs at most so many tasks of one name at a time; those that wait run in the order they came, so that none starves. With
 * `slowMs`, tasks that hang delay nobody: one that takes longer gives its place to the next while it goes on, and a task
 * waits three times as long at most while fewer tasks end than there are places. Then twenty times as many may run.
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
      // With too many that hang, the others wait until some of them have ended.
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
