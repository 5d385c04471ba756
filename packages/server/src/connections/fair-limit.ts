/** Runs at most so many tasks of one name at a time; those that wait run in the order they came, so that none starves. */
export class FairLimit {
  readonly #running = new Map<string, number>();
  readonly #waiting = new Map<string, (() => void)[]>();

  async run<T>(name: string, limit: number, task: () => Promise<T>): Promise<T> {
    await this.#enter(name, limit);
    try {
      return await task();
    } finally {
      this.#leave(name);
    }
  }

  #enter(name: string, limit: number): Promise<void> | undefined {
    const running = this.#running.get(name) ?? 0;
    if (running < limit) return void this.#running.set(name, running + 1);
    const queue = this.#waiting.get(name) ?? [];
    this.#waiting.set(name, queue);
    return new Promise((resolve) => queue.push(resolve));
  }

  /** A place that becomes free goes to the next in line, without being free in between. */
  #leave(name: string): void {
    const next = this.#waiting.get(name)?.shift();
    if (next) return next();
    this.#waiting.delete(name);
    const running = (this.#running.get(name) ?? 1) - 1;
    if (running === 0) this.#running.delete(name);
    else this.#running.set(name, running);
  }
}
