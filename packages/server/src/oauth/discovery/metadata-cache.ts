const LIFE_MS = 3_600_000;
const MAX_ENTRIES = 1_000;

/**
 * Caches published metadata documents for an hour. Concurrent callers share one request. If a document cannot be loaded
 * again, the old one stays in use. So an outage of a provider's discovery does not affect its endpoints.
 */
export class MetadataCache<Document> {
  readonly #entries = new Map<string, { readonly document: Promise<Document>; readonly loadedAt: number }>();
  readonly #now: () => number;

  /** `now` in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Returns the document of that name. Rejects with the error of `load` if there is no earlier document. */
  get(name: string, load: () => Promise<Document>): Promise<Document> {
    const cached = this.#entries.get(name);
    if (cached && this.#now() - cached.loadedAt < LIFE_MS) return cached.document;
    const loadedAt = this.#now();
    const document = load().catch((error: unknown) => {
      this.#entries.delete(name);
      if (!cached) throw error;
      this.#entries.set(name, { document: cached.document, loadedAt });
      return cached.document;
    });
    this.#entries.delete(name);
    this.#entries.set(name, { document, loadedAt });
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined && this.#entries.size > MAX_ENTRIES) this.#entries.delete(oldest);
    return document;
  }
}
