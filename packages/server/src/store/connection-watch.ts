/** Called with the uuid of a changed connection. Without a uuid, any connection may have changed. */
export type ChangeListener = (uuid?: string) => void;

/** Watches changes of connections by any server or program. */
export interface ConnectionWatch {
  /**
   * Returns the time until which all changes were reported, in milliseconds of `performance.now()`; 0 = none yet. A
   * connection that was read earlier, and was not reported since, was unchanged at that time.
   */
  confirmedAt(): number;
  close(): Promise<void>;
}
