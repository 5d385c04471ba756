import type { ConnectionContext } from '../../connections/connection-context.ts';
import { escapeHtml } from './page.ts';

/** The name and logo under which the user knows the application. */
export interface ShownApplication {
  readonly name: string;
  /** A `data:` URL. */
  readonly logo: string | undefined;
}

/** Returns the application. If no name is configured, the name is the host of its page, or of this server. */
export function shownApplication(
  pageOrigin: string | null,
  { config }: Pick<ConnectionContext, 'config'>,
): ShownApplication {
  const { server, applicationLogo } = config();
  const host = URL.parse(pageOrigin ?? '')?.host ?? server.oauth_server_root_url.host;
  return { name: server.application.name ?? host, logo: applicationLogo };
}

/** Returns the application's logo as HTML; empty if it has none. */
export function logoImage({ logo }: ShownApplication): string {
  return logo === undefined ? '' : `<img src="${escapeHtml(logo)}" alt="">`;
}
