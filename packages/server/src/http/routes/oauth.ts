import { NangoError } from '../../errors/nango-error.ts';
import type { App, ServerContext } from '../server-context.ts';
import { attemptRoutes } from './attempts.ts';
import { callbackRoutes } from './callback.ts';
import { connectRoute } from './connect.ts';
import { linkRoutes } from './links.ts';

/** The routes of browsers: begin an attempt, redirect to the provider, receive the callback, and return the result. */
export function oauthRoutes(server: ServerContext) {
  return async (app: App): Promise<void> => {
    app.addHook('onRequest', async () => {
      if (server.context.config().server.oauth_server_enabled) return;
      throw new NangoError('not_found', 'oauth_server_enabled is false, so there are no /oauth routes.');
    });
    attemptRoutes(app, server);
    connectRoute(app, server);
    linkRoutes(app, server);
    callbackRoutes(app, server);
  };
}
