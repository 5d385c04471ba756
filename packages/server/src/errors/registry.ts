/**
 * Families of codes. `page`: a page that connects a user shows code and message. `network`: a request received no
 * usable response. `developer`: only a developer can remove the cause, so users see another message. `retried`: a
 * background refresh has recorded the failure, and the connection becomes due again.
 */
export type ErrorTrait = 'page' | 'network' | 'developer' | 'retried';

interface ErrorEntry {
  readonly status: number;
  readonly about: string;
  readonly traits?: readonly ErrorTrait[];
}

/**
 * Every error code of this server, and its HTTP status. `invalid_request` may have another status of 4xx, if HTTP has a
 * more exact one. Clients depend on codes, so a code is never renamed and never changes its meaning.
 */
export const ERRORS = {
  access_denied: {
    status: 403,
    about: 'The user or the authorization server denied the authorization.',
    traits: ['page'],
  },
  account_mismatch: {
    status: 409,
    about:
      'The user chose another account at the provider than the one of the connection. The connection stays as it is.',
    traits: ['page'],
  },
  ambiguous_connection: {
    status: 409,
    about: 'The user has no default account connected, but has others. The message names them with their ids.',
  },
  action_failed: { status: 500, about: 'The Action threw an error. The message is the Action’s own.' },
  action_invalid: { status: 500, about: 'The Action’s file cannot be compiled or loaded, or its result is not JSON.' },
  action_not_found: { status: 404, about: 'The Nango folder has no file `<integration>/<action>.action.ts`.' },
  address_refused: {
    status: 400,
    about: 'A connection, a response or your own Blueprint chose a host with a private address that is not allowed.',
    traits: ['page'],
  },
  cancelled: { status: 400, about: 'The user of the command line cancelled a prompt. The command changed nothing.' },
  connection_exists: { status: 409, about: 'The user already has this account connected to the Integration.' },
  connection_not_found: {
    status: 404,
    about: 'The user has no such connection, or no connection has this id.',
    traits: ['page'],
  },
  credentials_unreadable: {
    status: 500,
    about: 'The stored credentials cannot be decrypted or parsed. They were damaged or moved.',
  },
  encryption_key_unavailable: { status: 500, about: 'The file or command that provides the encryption key failed.' },
  file_exists: { status: 409, about: 'The command does not overwrite a file, and the file exists already.' },
  file_not_found: { status: 404, about: 'A file that the command needs does not exist.' },
  file_unreadable: { status: 500, about: 'A file that the command needs cannot be read.' },
  file_unwritable: { status: 500, about: 'A file cannot be written or changed, for example because the disk is full.' },
  forbidden: {
    status: 403,
    about: 'The token, link or confirmation is for another user, integration, account or origin.',
  },
  insufficient_scope: {
    status: 403,
    about: 'The secret key is valid, but does not have the scope that this request needs.',
  },
  internal_error: { status: 500, about: 'The server has a defect. Its log has the error under the request id.' },
  invalid_backup: {
    status: 500,
    about: 'The file is not a complete backup of this server’s database, or cannot be copied.',
  },
  invalid_code: {
    status: 400,
    about: 'The code with which a browser returned was used, has expired, or is of another attempt.',
  },
  invalid_config: { status: 500, about: 'A configuration file has faults. The message lists each with its position.' },
  invalid_credentials: {
    status: 400,
    about: 'The credentials do not match the Integration’s auth_mode.',
    traits: ['page', 'developer'],
  },
  invalid_encryption_key: { status: 500, about: 'The encryption key is malformed, or it is not this database’s key.' },
  invalid_endpoint: { status: 400, about: 'The endpoint would leave the Integration’s base_url.' },
  invalid_import: {
    status: 400,
    about: 'The file to import has faults. The message lists each with its line. Nothing was imported.',
  },
  invalid_link: {
    status: 410,
    about: 'The link to connect was used, has expired or is unknown.',
    traits: ['page'],
  },
  invalid_request: {
    status: 400,
    about: 'The request does not match its schema. The message names the field.',
    traits: ['page', 'developer'],
  },
  invalid_setting: { status: 500, about: 'An environment variable has a value that is not allowed.' },
  invalid_state: {
    status: 400,
    about: 'The attempt or its state is unknown, used or expired, or belongs to another browser.',
    traits: ['page'],
  },
  invalid_value: {
    status: 400,
    about: 'A value cannot be placed safely in a header, parameter or URL.',
    traits: ['page'],
  },
  key_not_everywhere: { status: 409, about: 'A running server does not hold the newest encryption key yet.' },
  migration_blocked: {
    status: 409,
    about: 'A server of an earlier release runs, which could not use the database after `nango migrate finish`.',
  },
  migration_unfinished: {
    status: 409,
    about:
      'Servers of an earlier release may use the database, so this is not possible yet. ' +
      'Run `nango migrate finish` when all servers run this release.',
    traits: ['page', 'developer'],
  },
  missing_setting: { status: 500, about: 'A setting that the server or the command needs is missing.' },
  missing_user_id: { status: 400, about: 'connect() was called without a user id.', traits: ['developer'] },
  needs_reconnect: { status: 409, about: 'The grant was revoked or has expired. The user has to connect again.' },
  not_found: { status: 404, about: 'The server has no such route, Blueprint or webhook.' },
  page_failed: {
    status: 502,
    about: 'The external API rejected the request for a page of a list, or its response has no list.',
  },
  port_unavailable: {
    status: 500,
    about: 'The server cannot listen on its port. Usually, another program uses the port.',
  },
  provider_error: {
    status: 502,
    about: 'The provider responded to the authorization request with an error.',
    traits: ['page'],
  },
  refresh_failed: {
    status: 503,
    about: 'The access token has expired, and the server could not refresh it. Try again later.',
    traits: ['retried'],
  },
  request_failed: {
    status: 502,
    about: 'The external API could not be reached, or it closed the connection.',
    traits: ['network'],
  },
  request_timeout: { status: 504, about: 'The external API did not respond in time.', traits: ['network'] },
  response_too_large: {
    status: 502,
    about: 'The external API’s response is larger than this request may buffer.',
    traits: ['network'],
  },
  schema_too_new: { status: 500, about: 'The database was migrated by a newer version of this server.' },
  server_stopping: {
    status: 503,
    about: 'The server is stopping. Try again: another server can handle the request.',
    traits: ['page'],
  },
  too_many_accounts: {
    status: 409,
    about: 'The user has max_accounts_per_user accounts connected to the Integration.',
    traits: ['page'],
  },
  too_many_requests: {
    status: 429,
    about: 'Too many requests at the same time, or with wrong keys. Retry-After says when to try again.',
  },
  store_not_ready: {
    status: 503,
    about: 'The database is missing, empty or of an earlier version, and this command must not change it.',
  },
  store_unavailable: {
    status: 503,
    about: 'The database cannot be reached or written.',
    traits: ['page', 'retried'],
  },
  token_exchange_failed: {
    status: 502,
    about: 'The token endpoint rejected the request, or its response cannot be used.',
    traits: ['page'],
  },
  unauthorized: {
    status: 401,
    about: 'The secret key or connect session token is missing, wrong or expired.',
    traits: ['developer'],
  },
  unknown_integration: {
    status: 404,
    about: 'integrations.yaml has no integration of this name.',
    traits: ['page', 'developer'],
  },
  unsupported_auth_mode: {
    status: 400,
    about: 'The Integration’s auth_mode does not support this operation.',
    traits: ['page', 'developer'],
  },
  unsupported_store: {
    status: 400,
    about: 'The command does not support this kind of database, or a key that a setting provides.',
  },
} as const satisfies Record<string, ErrorEntry>;

/** A stable error code. */
export type ErrorCode = keyof typeof ERRORS;

/** Whether a code belongs to a family. */
export function hasTrait(code: ErrorCode, trait: ErrorTrait): boolean {
  const entry: ErrorEntry = ERRORS[code];
  return entry.traits?.includes(trait) ?? false;
}
