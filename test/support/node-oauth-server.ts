import { createServer, type IncomingMessage } from 'node:http';
import OAuth2Server, { type Client, type Token } from '@node-oauth/oauth2-server';
import { listen } from './listen.ts';
import type { Cleanup } from './temporary-folder.ts';

/** @node-oauth/oauth2-server, with one client and one user; the API is at /me. */
export interface NodeOAuthServer {
  readonly url: string;
  /** Grant types of the token requests that succeeded. */
  readonly granted: string[];
}

interface NodeOAuthOptions {
  /** Whether the password grant returns a refresh token. */
  readonly refreshTokens?: boolean;
  readonly accessTokenSeconds?: number;
}

const CLIENT = {
  id: 'client',
  secret: 'client-secret-CANARY',
  redirectUris: [] as string[],
  grants: ['client_credentials', 'password', 'refresh_token'],
};

/** A second third-party authorization server, for the grants without a browser. */
export async function startNodeOAuthServer(
  cleanup: Cleanup,
  { refreshTokens = true, accessTokenSeconds = 3600 }: NodeOAuthOptions = {},
): Promise<NodeOAuthServer> {
  const tokens = new Map<string, Token>();
  const granted: string[] = [];
  const keep = (token: Token, client: Client, user: object): Token => {
    const kept = { ...token, client, user };
    if (!refreshTokens) delete kept.refreshToken;
    tokens.set(kept.accessToken, kept);
    if (kept.refreshToken) tokens.set(kept.refreshToken, kept);
    return kept;
  };
  const oauth = new OAuth2Server({
    accessTokenLifetime: accessTokenSeconds,
    model: {
      getClient: async (id: string, secret: string) =>
        id === CLIENT.id && (secret === CLIENT.secret || secret === null) ? CLIENT : false,
      getUser: async (username: string, password: string) =>
        username === 'ada@example.com' && password === 'päss+wörd %&=' ? { id: username } : false,
      getUserFromClient: async () => ({ id: 'client' }),
      validateScope: async (_user: object, _client: Client, scope?: string[]) => scope ?? ['read'],
      saveToken: async (token: Token, client: Client, user: object) => keep(token, client, user),
      getAccessToken: async (token: string) => tokens.get(token) ?? false,
      getRefreshToken: async (token: string) => {
        const found = tokens.get(token);
        return found?.refreshToken ? { ...found, refreshToken: found.refreshToken } : false;
      },
      revokeToken: async ({ refreshToken }: { refreshToken: string }) => tokens.delete(refreshToken),
      verifyScope: async () => true,
    },
  });
  const server = createServer(async (incoming, outgoing) => {
    const request = new OAuth2Server.Request({
      method: incoming.method ?? 'GET',
      query: {},
      headers: incoming.headers as Record<string, string>,
      body: Object.fromEntries(new URLSearchParams(await readText(incoming))),
    });
    const response = new OAuth2Server.Response();
    try {
      if (incoming.url === '/token') {
        await oauth.token(request, response);
        granted.push(String(request.body.grant_type));
      } else {
        const { user, scope } = await oauth.authenticate(request, response);
        response.body = { user, scope };
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      response.body ??= { error: error.name, error_description: error.message };
      if (response.status === 200) response.status = 401;
    }
    outgoing
      .writeHead(response.status ?? 500, { ...response.headers, 'content-type': 'application/json' })
      .end(JSON.stringify(response.body));
  });
  return { url: `http://localhost:${await listen(cleanup, server)}`, granted };
}

async function readText(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
