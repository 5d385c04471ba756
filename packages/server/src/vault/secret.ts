import { inspect } from 'node:util';

/**
 * Holds a value that must never be printed: string conversion, JSON, `console.log` and loggers all print `[secret]`.
 * Only `reveal()` returns the value, so a search for `reveal` finds every use of a secret.
 */
export class Secret<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
  }

  /** Returns a secret that is computed from this one. */
  map<U>(change: (value: T) => U): Secret<U> {
    return new Secret(change(this.#value));
  }

  equals(other: Secret<T> | undefined): boolean {
    return other?.reveal() === this.#value;
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

/** A text that may be a secret: a rendered template, or a parameter of a request. */
export type MaybeSecret = string | Secret<string>;

/** Returns the text, to send or seal it. */
export function revealText(text: MaybeSecret): string {
  return text instanceof Secret ? text.reveal() : text;
}

/** Returns texts by name, each revealed. */
export function revealTexts(texts: Readonly<Record<string, MaybeSecret>>): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, revealText(text)]));
}

/** Returns a secret that is computed from several texts, such as the form that holds them. */
export function mapTexts<T>(
  texts: Readonly<Record<string, MaybeSecret>>,
  change: (revealed: Record<string, string>) => T,
): Secret<T> {
  return new Secret(change(revealTexts(texts)));
}

/** Returns JSON that contains the secrets, to seal it or to respond with credentials. */
export function toRevealedJson(value: unknown): string {
  // `serialized` is the result of toJSON().
  return JSON.stringify(value, function reveal(this: unknown, key: string, serialized: unknown): unknown {
    const original: unknown = typeof this === 'object' && this !== null ? Reflect.get(this, key) : undefined;
    return original instanceof Secret ? original.reveal() : serialized;
  });
}

/** Returns all texts that are secrets, at any depth of the values. */
export function secretTextsIn(...values: readonly unknown[]): Secret<string>[] {
  return values.flatMap((value) => {
    if (value instanceof Secret) return textsIn(value.reveal()).map((text) => new Secret(text));
    return typeof value === 'object' && value !== null ? secretTextsIn(...Object.values(value)) : [];
  });
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}
