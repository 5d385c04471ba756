/** The code of the reason why connect() failed. */
export type NangoErrorType =
  | 'unknown_integration'
  | 'missing_user_id'
  | 'invalid_state'
  | 'invalid_code'
  | 'access_denied'
  | 'provider_error'
  | 'token_exchange_failed'
  | 'popup_blocked'
  | 'window_closed'
  | 'timeout'
  | 'storage_unavailable'
  | 'network_error'
  | 'unauthorized'
  | 'forbidden'
  | 'invalid_credentials'
  | 'invalid_request'
  | (string & {});

/** The connection that connect() resolves to. */
export interface ConnectResult {
  integrationName: string;
  userId: string;
  /** The connected account, unless it is `default`. */
  account?: string;
  /** The user's other accounts in your application that belong to the same account at the provider. */
  alsoConnectedAs?: string[];
}

/** The error that connect() rejects with. */
export class ConnectError extends Error {
  readonly integrationName: string;
  readonly userId: string;
  readonly error: { readonly type: NangoErrorType; readonly message: string };

  constructor(result: ConnectResult, type: NangoErrorType, message: string) {
    super(message);
    this.name = 'ConnectError';
    this.integrationName = result.integrationName;
    this.userId = result.userId;
    this.error = { type, message };
  }
}

/** Options of connect(). */
export interface ConnectOptions {
  /** Your own name of one of the user's accounts. Default: the account of the token, else `default`. */
  account?: string;
  /** Connects another account, which the server names. A token must have been created with newAccount, too. */
  newAccount?: boolean;
  /** Created by your back end with createConnectSession. Needed unless the server's root URL is a loopback URL. */
  connectSessionToken?: string;
  /** Settings of the connection that the provider's URLs need, such as a subdomain. */
  additionalConfig?: Record<string, unknown>;
  /** Prompted credentials, for integrations with an API key or a user name and password. No popup opens. */
  credentials?: Record<string, unknown>;
  /**
   * `redirect`: this page itself goes to the provider, and connectResult() of the page at redirectUrl has the result.
   * Default: `popup`, but `redirect` where popups do not work: in the browsers of apps, and on the home screen of iOS.
   */
  mode?: 'popup' | 'redirect';
  /**
   * The page to which the browser returns: one of allowed_redirect_urls. Default: the address of this page without
   * query and fragment. The redirectUrl of the session takes precedence.
   */
  redirectUrl?: string;
  /** The time that the user has, in milliseconds. Default: ten minutes, which is the server's maximum. */
  timeout?: number;
}

/** Creates the error of one connect(). */
export type Fail = (type: NangoErrorType, message: string) => ConnectError;
