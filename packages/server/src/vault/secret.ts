import { inspect } from 'node:util';

/**
 * Holds a value that must never be printed: string conversion, JSON, `console.log` and loggers all yield `[secret]`.
 * `reveal()` is the only way to the value, so a search for it lists every place that handles a secret.
 */
export class Secret<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}
