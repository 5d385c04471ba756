/** Tasks of one name. */
interface Lane {
  /** Those that hold a place. */
  placed: number;
  /** Those that have not ended, with or without a place. */
  running: number;
  readonly waiting: (() => void)[];
}

// A task that holds up others for longer than this gives its place on.
const MAX_RUNNING_PER_PLACE = 10;

/**
 * Runs at most so many tasks of one name at a time; those that wait run in the order they came, so that none starves. With
 * `slowMs`, a task that takes longer gives its place to the next while it goes on, so that what hangs delays nobody; then
 * ten times as many may run.
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
