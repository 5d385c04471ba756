import { z } from 'zod';

/** A number of a YAML file that JavaScript would write otherwise, such as 1.0 or 007: its value, and what was written. */
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

/** What schemas that take a {@link WrittenNumber} have as one of their options. */
export const writtenNumber = z.instanceof(WrittenNumber);
