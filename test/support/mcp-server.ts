import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { DemoInMemoryAuthProvider } from '@modelcontextprotocol/sdk/examples/server/demoInMemoryOAuthProvider.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { getOAuthProtectedResourceMetadataUrl, mcpAuthRouter } from '@modelcontextprotocol/sdk/server/auth/router.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import express from 'express';
import { freePort } from './free-port.ts';
import { listen } from './listen.ts';
import type { Cleanup } from './temporary-folder.ts';

type Client = Parameters<DemoInMemoryAuthProvider['exchangeAuthorizationCode']>[0];

/** The SDK's demonstration provider, with refresh tokens that rotate. */
class RotatingProvider extends DemoInMemoryAuthProvider {
  readonly #refreshTokens = new Map<string, string>();
  readonly #refreshed = new Map<string, string>();
  readonly resources: (string | undefined)[] = [];

  override async exchangeAuthorizationCode(client: Client, code: string) {
    return { ...(await super.exchangeAuthorizationCode(client, code)), ...this.#issue(client) };
  }

  override async exchangeRefreshToken(client: Client, refreshToken: string, _scopes?: string[], resource?: URL) {
    if (this.#refreshTokens.get(refreshToken) !== client.client_id) throw new Error('invalid refresh token');
    this.#refreshTokens.delete(refreshToken);
    this.resources.push(resource?.href);
    const token = randomUUID();
    this.#refreshed.set(token, client.client_id);
    return { access_token: token, token_type: 'bearer', expires_in: 60, ...this.#issue(client) };
  }

  #issue({ client_id }: Client) {
    const refresh_token = randomUUID();
    this.#refreshTokens.set(refresh_token, client_id);
    return { refresh_token };
  }

  override async verifyAccessToken(token: string) {
    const clientId = this.#refreshed.get(token);
    if (clientId === undefined) return super.verifyAccessToken(token);
    return { token, clientId, scopes: ['mcp:tools'], expiresAt: Date.now() / 1000 + 60 };
  }
}

/** A remote MCP server and its authorization server, both from the protocol’s own SDK, on two origins. */
export interface TestMcpServer {
  /** The server’s URL. A client needs nothing else. */
  readonly url: string;
  readonly issuer: string;
  readonly provider: RotatingProvider;
}

export async function startMcpServer(cleanup: Cleanup): Promise<TestMcpServer> {
  const issuer = new URL(`http://localhost:${await freePort()}/`);
  const resource = new URL(`http://localhost:${await freePort()}/mcp`);
  const provider = new RotatingProvider((asked) => asked?.href === resource.href);
  const authorization = express().use(mcpAuthRouter({ provider, issuerUrl: issuer, scopesSupported: ['mcp:tools'] }));
  const server = express();
  server.get('/.well-known/oauth-protected-resource/mcp', (_request, response) => {
    response.json({
      resource: resource.href,
      authorization_servers: [issuer.href],
      scopes_supported: ['mcp:tools'],
    });
  });
  const bearer = requireBearerAuth({
    verifier: provider,
    requiredScopes: ['mcp:tools'],
    resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(resource),
  });
  server.all('/mcp', bearer, express.json(), async (request, response) => {
    const mcp = new McpServer({ name: 'test', version: '1' });
    mcp.registerTool('greet', { description: 'Says hello' }, () => ({ content: [{ type: 'text', text: 'hello' }] }));
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
    await mcp.connect(transport);
    await transport.handleRequest(request, response, request.body);
  });
  await listen(cleanup, createServer(authorization), Number(issuer.port));
  await listen(cleanup, createServer(server), Number(resource.port));
  return { url: resource.href, issuer: issuer.href, provider };
}
