/** Any value that JSON can hold. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** The methods of `httpRequest`. */
export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'OPTIONS' | 'HEAD';

/** Query parameters. A list repeats the parameter; null omits it. */
export type RequestParams = Record<string, string | number | boolean | null | (string | number | boolean)[]>;

/** An external API's response. `json` is present if the body is JSON. */
export interface HttpResponse<Body = unknown> {
  status: number;
  statusText: string;
  /** Names in lower case. */
  headers: Record<string, string | string[]>;
  /** The body as text. */
  data: string;
  json?: Body;
  /** The scopes that the connection lacks, if the API refused with 403 and `insufficient_scope`. */
  missingScopes?: string[];
}

/** The connection of this run, with fresh credentials. */
export interface ActionConnection {
  /** Stays the same after a reconnect. */
  id: string;
  /** The id, by its name in earlier releases. */
  uuid: string;
  integration: string;
  userId: string;
  /** The application's own name of one of the user's accounts. */
  account: string;
  tags: Record<string, string>;
  /** Who connected, as the provider says; null if it is unknown. */
  identity: { user: string; workspace: string | null; name: string | null } | null;
  /** The customer's own OAuth app; null = the client of the Integration. */
  oauthClient: { clientId: string } | null;
  requestedScopes: string[] | null;
  /** Null if the provider did not say. */
  grantedScopes: string[] | null;
  /** Requested scopes that were not granted; null if it is unknown. */
  missingScopes: string[] | null;
  authMode: string;
  /** ISO 8601. */
  dateCreated: string;
  /** ISO 8601. */
  lastModified: string;
  additionalConfig: Record<string, JsonValue>;
  status: 'active' | 'needs_reconnect';
  statusReason: string | null;
  /** Words for the user, if they have to connect again. */
  statusMessage: string | null;
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

/** A request to the connection's API, as the server receives it. */
export interface ActionHttpRequest {
  endpoint: string;
  method: HttpMethod;
  params?: RequestParams | undefined;
  body?: unknown;
  headers?: Record<string, string> | undefined;
}

/** How an API splits lists into pages. The keys override those of the Integration's `requests.pagination`. */
export interface Pagination {
  type?: 'link' | 'cursor' | 'offset';
  /** Path of the items in the response, such as `data.items`. */
  items?: string;
  [key: string]: JsonValue | undefined;
}

/** A request for a page of a list, as the server receives it. */
export interface ActionPageRequest extends ActionHttpRequest {
  pagination?: Pagination | undefined;
  /** `next` of the previous page. */
  next?: string | undefined;
}

/** The functions that the server provides to one run of an Action. */
export interface ActionHost {
  readonly logger: ActionLogger;
  httpRequest(request: ActionHttpRequest): Promise<HttpResponse>;
  readPage(request: ActionPageRequest): Promise<{ items: unknown[]; next: string | null }>;
  getCurrentConnection(): Promise<ActionConnection>;
}

/**
 * Base class of all Actions. A file `<integration>/<action>.action.ts` exports a class `<Integration><Action>Action`
 * that extends it and implements `executeAction`.
 */
export abstract class NangoAction {
  readonly #host: ActionHost;

  /** Only the server calls it. */
  constructor(host: ActionHost) {
    this.#host = host;
  }

  /** Logs messages of this run. */
  get logger(): ActionLogger {
    return this.#host.logger;
  }

  /** Does the work. Input and return value are JSON. If it throws, triggerAction rejects with that error's message. */
  abstract executeAction(input: unknown): Promise<unknown>;

  /**
   * Sends an authorized request to the connection's API. `endpoint` is relative to the Integration's base_url. A string
   * body is sent unchanged, and any other body as JSON. Resolves for every HTTP status; rejects if there is no
   * response. `Body` is the type that you expect of the JSON; it is not checked.
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
   * Yields the items of a list, over all its pages: `for await (const item of this.paginate('users')) …`. A page is
   * requested when its first item is needed. `Item` is the type that you expect; it is not checked.
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

  /** Returns the connection of this run, with fresh credentials. */
  protected getCurrentConnection(): Promise<ActionConnection> {
    return this.#host.getCurrentConnection();
  }
}
