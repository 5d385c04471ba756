/** Anything JSON can hold. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** The methods `httpRequest` sends. */
export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'OPTIONS' | 'HEAD';

/** Query parameters: a list repeats the parameter, null leaves it out. */
export type RequestParams = Record<string, string | number | boolean | null | (string | number | boolean)[]>;

/** The external API's answer; `json` is there when the body is JSON. */
export interface HttpResponse<Body = unknown> {
  status: number;
  statusText: string;
  /** Names in lower case. */
  headers: Record<string, string | string[]>;
  /** The body as text. */
  data: string;
  json?: Body;
}

/** The connection an Action runs for, with fresh credentials. */
export interface ActionConnection {
  uuid: string;
  integration: string;
  userId: string;
  authMode: string;
  /** ISO 8601. */
  dateCreated: string;
  /** ISO 8601. */
  lastModified: string;
  additionalConfig: Record<string, JsonValue>;
  status: 'active' | 'needs_reconnect';
  statusReason: string | null;
  /** The fields of the Integration's auth mode, and `raw`. */
  credentials: { raw: Record<string, JsonValue>; [field: string]: unknown };
}

/** Logs with the time, level, integration, action, user id and execution id of the run. */
export interface ActionLogger {
  error(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  debug(message: string, fields?: Record<string, unknown>): void;
}

/** A call to the connection's API, as the server takes it. */
export interface ActionHttpRequest {
  endpoint: string;
  method: HttpMethod;
  params?: RequestParams | undefined;
  body?: unknown;
  headers?: Record<string, string> | undefined;
}

/** How an API splits lists into pages: keys that override those of the Integration's `requests.pagination`. */
export interface Pagination {
  type?: 'link' | 'cursor' | 'offset';
  /** Where the items are in the answer, such as `data.items`. */
  items?: string;
  [key: string]: JsonValue | undefined;
}

/** A page of a list, as the server takes the request for it. */
export interface ActionPageRequest extends ActionHttpRequest {
  pagination?: Pagination | undefined;
  /** `next` of the page before. */
  next?: string | undefined;
}

/** What the server lends to one run of an Action. */
export interface ActionHost {
  readonly logger: ActionLogger;
  httpRequest(request: ActionHttpRequest): Promise<HttpResponse>;
  readPage(request: ActionPageRequest): Promise<{ items: unknown[]; next: string | null }>;
  getCurrentConnection(): Promise<ActionConnection>;
}

/**
 * Base class of all Actions. A file `<integration>/<action>.action.ts` exports a class
 * `<Integration><Action>Action` that extends it and implements `executeAction`.
 */
export abstract class NangoAction {
  readonly #host: ActionHost;

  /** Called by the server. */
  constructor(host: ActionHost) {
    this.#host = host;
  }

  /** Logs for this run. */
  get logger(): ActionLogger {
    return this.#host.logger;
  }

  /** Does the work. Input and return value are JSON; what it throws reaches the caller of triggerAction as an error. */
  abstract executeAction(input: unknown): Promise<unknown>;

  /**
   * Sends an authorized request to the connection's API. `endpoint` is relative to the Integration's base_url.
   * A string body goes as it is, an object as JSON. Resolves for every HTTP status; rejects when there is no answer.
   * `Body` is the type that you expect of the JSON; nothing checks it.
   */
  // oxlint-disable-next-line max-params -- the signature is the public interface of Actions
  protected async httpRequest<Body = unknown>(
    endpoint: string,
    method: HttpMethod,
    params?: RequestParams,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<HttpResponse<Body>> {
    const response = await this.#host.httpRequest({ endpoint, method, params, body, headers });
    return response as HttpResponse<Body>;
  }

  /**
   * The items of a list, over all its pages: `for await (const item of this.paginate('users')) …`. A page is asked for when
   * its first item is. `Item` is the type that you expect; nothing checks it.
   */
  protected async *paginate<Item = unknown>(
    endpoint: string,
    { method = 'GET', ...options }: Partial<Omit<ActionPageRequest, 'endpoint' | 'next'>> = {},
  ): AsyncGenerator<Item, void, undefined> {
    let next: string | undefined;
    do {
      const page = await this.#host.readPage({ ...options, method, endpoint, next });
      yield* page.items as Item[];
      next = page.next ?? undefined;
    } while (next !== undefined);
  }

  /** The connection this run is for, with fresh credentials. */
  protected getCurrentConnection(): Promise<ActionConnection> {
    return this.#host.getCurrentConnection();
  }
}
