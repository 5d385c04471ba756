/** Hears which connections changed; without uuid, any may have. */
export type ChangeListener = (uuid?: string) => void;

/** Changes of connections, by whatever server or program. */
export interface ConnectionWatch {
  /**
   * Milliseconds of `performance.now()` at which everything that had changed until then was told; 0 = not yet. What was
   * read before and not told of since is still true at that time.
   */
  confirmedAt(): number;
  close(): Promise<void>;
}
