import { z } from 'zod';

/** A number in YAML that JavaScript would write differently, such as 1.0 or 007: its value, and its text. */
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

/** Schemas that accept a {@link WrittenNumber} have this as an option. */
export const writtenNumber = z.instanceof(WrittenNumber);
