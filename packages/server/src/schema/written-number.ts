import { z } from 'zod';

/**
 * A number in YAML, with its spelling. Used for numbers that JavaScript would write differently, such as 1.0 or 007.
 */
export class WrittenNumber {
  readonly value: number;
  readonly source: string;

  constructor(value: number, source: string) {
    this.value = value;
    this.source = source;
  }

  toJSON(): number {
    return this.value;
  }
}

/** The schema of a {@link WrittenNumber}. */
export const writtenNumber = z.instanceof(WrittenNumber);
