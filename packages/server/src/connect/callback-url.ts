import type { Integration } from '../auth-modes/auth-mode.ts';
import type { ConnectionContext } from '../connections/connection-context.ts';

/** The public root, without a slash at its end. */
export function rootUrl({ config }: Pick<ConnectionContext, 'config'>): string {
  return config().server.oauth_server_root_url.href.replace(/\/$/, '');
}

/** The address of this server that receives the browser from the provider. */
export function callbackUrl(context: Pick<ConnectionContext, 'config'>): string {
  return `${rootUrl(context)}/oauth/callback`;
}

/**
 * The redirect URI to register at the provider of an Integration: its own callback_url, which leads the browser to this
 * server, or else the address of this server (RFC 6749 §3.1.2).
 */
export function redirectUriOf(integration: Integration, context: Pick<ConnectionContext, 'config'>): string {
  return integration.callbackUrl ?? callbackUrl(context);
}
