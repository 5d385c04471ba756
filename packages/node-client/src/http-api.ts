import { NangoClientError } from './client-error.ts';
import { jsonProblem } from './json-problem.ts';
import type { ReferenceFields } from './named-connection.ts';

const CHECK_SERVER_URL = 'Check that serverUrl is the address of a Nango server.';

/** A call of the server's HTTP API. `body` is sent as JSON. */
interface ApiCall {
  query?: ReferenceFields & Record<string, string | boolean>;
  body?: unknown;
}

/** The server's HTTP API, called with the secret key. Every failure is a NangoClientError. */
export class HttpApi {
  readonly #serverUrl: string;
  readonly #secretKey: string;
  readonly #closing = new AbortController();

  constructor(serverUrl: string, secretKey: string) {
    this.#serverUrl = parseServerUrl(serverUrl);
    this.#secretKey = secretKey;
  }

  /** Ends calls in flight. Later calls reject with `network_error`. */
  close(): void {
    this.#closing.abort();
  }

  async call<T>(method: string, path: string, { query, body }: ApiCall = {}): Promise<T> {
    const search = query ? `?${new URLSearchParams(toTexts(query)).toString()}` : '';
    const { response, text } = await this.#fetch(`${this.#serverUrl}${path}${search}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#secretKey}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : toJson(body),
      redirect: 'error',
      signal: this.#closing.signal,
    });
    // The server's response schemas guarantee the shape.
    if (response.ok) return parseResponse(text, response.status) as T;
    throw toError(text, response.status);
  }

  async #fetch(url: string, init: RequestInit): Promise<{ response: Response; text: string }> {
    try {
      const response = await fetch(url, init);
      return { response, text: await response.text() };
    } catch (cause) {
      const message = this.#closing.signal.aborted
        ? 'This client was closed, so the request was not completed. Create a new client.'
        : `The Nango server at ${this.#serverUrl} could not be reached. Check that it is running.`;
      throw new NangoClientError('network_error', message, { cause });
    }
  }
}

function parseServerUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol)) return url.href.replace(/\/+$/, '');
  throw new NangoClientError('invalid_input', `serverUrl must be an http or https URL, not "${text}".`);
}

function toTexts(query: Record<string, string | boolean>): Record<string, string> {
  return Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)]));
}

function toJson(value: unknown): string {
  const problem = jsonProblem(value, 'input');
  if (problem !== undefined) throw new NangoClientError('invalid_input', problem);
  return JSON.stringify(value);
}

function parseResponse(text: string, status: number): unknown {
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NangoClientError('network_error', `The response is not JSON. ${CHECK_SERVER_URL}`, {
      status,
      cause,
    });
  }
}

function toError(text: string, status: number): NangoClientError {
  try {
    const { error } = JSON.parse(text) as { error: { type: string; message: string; requestId?: string } };
    return new NangoClientError(error.type, error.message, { status, requestId: error.requestId });
  } catch (cause) {
    return new NangoClientError(
      'network_error',
      `The server responded with status ${status}, but not with a Nango error. ${CHECK_SERVER_URL}`,
      { status, cause },
    );
  }
}
