import { createHash } from 'node:crypto';
import { z } from 'zod';
import { NangoError } from '../errors/nango-error.ts';
import { isLoopbackHost } from '../schema/loopback-host.ts';
import type { ConnectionKey, ConnectSessionRow } from '../store/store.ts';
import { chosenAccount, isGeneratedAccount, type AccountChoice } from './accounts.ts';
import type { ConnectionContext } from '../connections/connection-context.ts';
import type { OAuthClient } from '../connections/oauth-client.ts';
import { openSessionClient } from './own-client.ts';
import { parseSessionOptions, type SessionOptions } from './session-options.ts';
import type { Secret } from '../vault/secret.ts';

/** The sender of an attempt request: its token, and the origin of its page as the browser reports it. */
export interface AttemptRequester {
  readonly token: Secret<string> | undefined;
  readonly origin: string | undefined;
  readonly route: RequestRoute;
}

/** How a request arrived. */
export interface RequestRoute {
  /** The peer's address. */
  readonly address: string;
  /** Its `Host` header. */
  readonly host: string;
  /** Whether a proxy says that it forwarded the request. */
  readonly isForwarded: boolean;
}

/** What a page may connect. */
export interface PermittedConnect {
  readonly key: ConnectionKey;
  /** JSON; null = the back end set none. */
  readonly tags: string | null;
  readonly options: SessionOptions;
  /** The customer's own OAuth app; undefined = the connection's, or else the Integration's client. */
  readonly oauthClient: OAuthClient | undefined;
}

/** Returns what a session permits for one connection. Throws `credentials_unreadable`. */
export function permittedBySession(
  session: ConnectSessionRow,
  key: ConnectionKey,
  context: ConnectionContext,
): PermittedConnect {
  const options = parseSessionOptions(session.options);
  return { key, tags: session.tags, options, oauthClient: openSessionClient(session, context) };
}

/** A connection that a page or a back end asks for. */
export interface ConnectRequest extends AccountChoice {
  readonly integration: string;
  readonly userId: string;
}

/**
 * Resolves to what the requester may connect. Without this check, anyone could connect their own account to another
 * user id. If the page names no account, it is the account of the session. Throws `unauthorized` and `forbidden`.
 *
 * A server with a loopback root URL serves one developer, so pages of the same machine need no token there.
 */
export async function assertMayConnect(
  request: ConnectRequest,
  requester: AttemptRequester,
  context: ConnectionContext,
): Promise<PermittedConnect> {
  const { integration, userId } = request;
  if (requester.token === undefined) {
    assertLocal(requester, context);
    const key = { integration, userId, account: chosenAccount(request, context) };
    return { key, tags: null, options: {}, oauthClient: undefined };
  }
  const session = await sessionOf(requester.token, requester, context);
  if (session.userId !== userId) throw new NangoError('forbidden', 'The connect session token is for another user id.');
  if (session.integrations !== null && !integrationsOf(session).includes(integration))
    throw new NangoError('forbidden', `The connect session token does not allow the integration "${integration}".`);
  const { account = session.account, newAccount = false } = request;
  if (account === session.account && (!newAccount || isGeneratedAccount(account)))
    return permittedBySession(session, { integration, userId, account }, context);
  throw new NangoError(
    'forbidden',
    `The connect session token permits only the account "${session.account}". ` +
      'Your back end names another one with createConnectSession({ userId, account }), or asks for newAccount.',
  );
}

/** Resolves to the connection that the requester may connect again. Throws `unauthorized` and `forbidden`. */
export async function assertMayReconnect(
  connectionId: string,
  requester: AttemptRequester,
  context: ConnectionContext,
): Promise<PermittedConnect> {
  const { token } = requester;
  if (token === undefined)
    throw new NangoError('unauthorized', `reconnect() needs a connect session token. ${HOW_TO_RECONNECT}`);
  const session = await sessionOf(token, requester, context);
  const options = parseSessionOptions(session.options);
  const [integration] = integrationsOf(session);
  if (options.connectionId !== connectionId || integration === undefined)
    throw new NangoError('forbidden', `The connect session token is not for this connection. ${HOW_TO_RECONNECT}`);
  const { userId, account } = session;
  return permittedBySession(session, { integration, userId, account }, context);
}

/** Returns the Integrations that a session names; empty if it names none. */
export function integrationsOf({ integrations }: Pick<ConnectSessionRow, 'integrations'>): string[] {
  return integrationList.parse(JSON.parse(integrations ?? '[]'));
}

async function sessionOf(
  token: Secret<string>,
  { origin }: AttemptRequester,
  { store, now }: ConnectionContext,
): Promise<ConnectSessionRow> {
  const session = await store.findSession(hashToken(token), now());
  if (!session)
    throw new NangoError('unauthorized', `The connect session token is unknown or expired. ${HOW_TO_CREATE}`);
  if (session.origin === null || session.origin === origin) return session;
  throw new NangoError('forbidden', 'The connect session token is for pages of another origin.');
}

const integrationList = z.array(z.string());

const HOW_TO_CREATE =
  'Create one in your back end with createConnectSession({ userId }) of @nangohq/node-client, ' +
  'and pass it to new Nango(rootUrl, { connectSessionToken }).';

const HOW_TO_RECONNECT = 'Create one in your back end with createConnectSession({ connectionId }).';

/** Whether the server serves one developer on their own machine. */
export function hasLoopbackRoot({ config }: Pick<ConnectionContext, 'config'>): boolean {
  return isLoopbackHost(config().server.oauth_server_root_url.hostname);
}

/** Without a token, only pages on the server's own machine may connect, and only with a loopback root. */
function assertLocal({ origin, route }: AttemptRequester, context: ConnectionContext): void {
  const { allow_connect_without_session: isAllowed } = context.config().server;
  const isLoopbackRoot = hasLoopbackRoot(context);
  const isLocalPage = origin === undefined || isLoopbackHost(URL.parse(origin)?.hostname ?? '');
  if (isLoopbackRoot && isLocalPage && (isLocal(route) || isAllowed)) return;
  const why = !isLoopbackRoot
    ? 'This server has a public root URL, so connect() needs'
    : isLocalPage
      ? 'Requests that come over a network or a proxy need'
      : 'Pages outside this machine need';
  throw new NangoError('unauthorized', `${why} a connect session token. ${HOW_TO_CREATE}`);
}

/** Whether a request came from this machine and was sent to it. */
function isLocal({ address, host, isForwarded }: RequestRoute): boolean {
  const isLoopbackPeer = address === '::1' || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(address);
  return isLoopbackPeer && !isForwarded && isLoopbackHost(URL.parse(`http://${host}`)?.hostname ?? '');
}

/** Returns the SHA-256 hash of a token, in base64url. Only this hash is stored. */
export function hashToken(token: Secret<string>): string {
  return createHash('sha256').update(token.reveal(), 'utf8').digest('base64url');
}
