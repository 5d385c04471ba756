/** Called with the connection that changed; without uuid, any may have changed. */
export type ChangeListener = (uuid?: string) => void;

/** Changes of connections by any server or program. */
export interface ConnectionWatch {
  /**
   * The `performance.now()` time until which all changes were reported, in milliseconds; 0 = not yet. What was read
   * before, and not reported since, is still true at that time.
   */
  confirmedAt(): number;
  close(): Promise<void>;
}
