/** Tasks of one name. */
interface Lane {
  /** Number of tasks that hold a place. */
  placed: number;
  /** Number of tasks that have not ended, with or without a place. */
  running: number;
  readonly waiting: (() => void)[];
}

// A task that runs longer than this gives up its place.
const MAX_RUNNING_PER_PLACE = 10;

/**
 * Limits the concurrent tasks of one name. Waiting tasks run in order, so none starves. With `slowMs`, a task that
 * takes longer gives up its place and continues, so tasks that hang delay nobody. Then at most ten times as many run.
 */
export class FairLimit {
  readonly #lanes = new Map<string, Lane>();
  readonly #slowMs: number | undefined;

  constructor({ slowMs }: { slowMs?: number } = {}) {
    this.#slowMs = slowMs;
  }

  async run<T>(name: string, limit: number, task: () => Promise<T>): Promise<T> {
    const lane = this.#laneOf(name);
    await enter(lane, limit);
    let hasPlace = true;
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
      if (hasPlace) lane.placed -= 1;
      admit(lane, limit);
      if (lane.running === 0) this.#lanes.delete(name);
    }
  }

  #laneOf(name: string): Lane {
    const known = this.#lanes.get(name);
    if (known) return known;
    const lane: Lane = { placed: 0, running: 0, waiting: [] };
    this.#lanes.set(name, lane);
    return lane;
  }
}

async function enter(lane: Lane, limit: number): Promise<void> {
  if (lane.placed < limit && lane.waiting.length === 0) take(lane);
  else await new Promise<void>((resolve) => lane.waiting.push(resolve));
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
