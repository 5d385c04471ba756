import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { join } from 'node:path';
import Provider from 'oidc-provider';
import { createFileAdapter } from '../../examples/quickstart/sandbox-adapter.ts';
import { freePort } from './free-port.ts';
import { listen } from './listen.ts';
import { temporaryFolder, type Cleanup } from './temporary-folder.ts';

export interface AuthorizationServerOptions {
  readonly redirectUri: string;
  readonly clientSecret?: string;
  readonly authenticationMethod?:
    'client_secret_basic' | 'client_secret_post' | 'none' | 'private_key_jwt' | 'client_secret_jwt';
  /** The client's public key, for private_key_jwt. */
  readonly clientKey?: object;
  readonly accessTokenSeconds?: number;
  /** Headers on the provider's own pages, such as Cross-Origin-Opener-Policy. */
  readonly pageHeaders?: Record<string, string>;
}

/** oidc-provider with pages that a browser can click through, and an API at /me. */
export interface AuthorizationServer {
  readonly issuer: string;
  readonly clientSecret: string;
}

const DEFAULT_ACCOUNT = 'ada';

/** A third-party authorization server. It requires PKCE, rotates refresh tokens, and sends iss in its responses. */
export async function startAuthorizationServer(
  cleanup: Cleanup,
  options: AuthorizationServerOptions,
): Promise<AuthorizationServer> {
  const port = await freePort();
  const issuer = `http://localhost:${port}`;
  const clientSecret = options.clientSecret ?? `s3cret:%+ CANARY-${randomBytes(8).toString('hex')}`;
  const method = options.authenticationMethod ?? 'client_secret_basic';
  const enabled = { enabled: true };
  const signingKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  const provider = new Provider(issuer, {
    adapter: createFileAdapter(join(temporaryFolder(cleanup), 'provider.json')),
    jwks: { keys: [{ ...signingKey, kty: 'EC', use: 'sig' }] },
    clients: [
      {
        client_id: 'client',
        ...(method === 'none' || method === 'private_key_jwt' ? {} : { client_secret: clientSecret }),
        ...(options.clientKey ? { jwks: { keys: [options.clientKey] } } : {}),
        token_endpoint_auth_method: method,
        id_token_signed_response_alg: 'ES256',
        redirect_uris: [options.redirectUri],
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      },
    ],
    cookies: { keys: ['k'] },
    scopes: ['openid', 'offline_access'],
    ttl: {
      AccessToken: options.accessTokenSeconds ?? 3600,
      RefreshToken: 86_400,
      Grant: 86_400,
      Session: 86_400,
      Interaction: 600,
      IdToken: 600,
    },
    rotateRefreshToken: true,
    issueRefreshToken: async () => true,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false }, revocation: enabled, deviceFlow: enabled },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none', 'private_key_jwt', 'client_secret_jwt'],
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: async (_context, accountId) => ({ accountId, claims: async () => ({ sub: accountId }) }),
  });
  const authorizationServer = provider.callback();
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', issuer).pathname;
    const [, page, decision] = /^\/(interaction)\/[\w-]+(?:\/(approve|deny))?$/.exec(path) ?? [];
    if (!page) return authorizationServer(request, response);
    if (!decision) {
      const form = (name: string) =>
        `<form method="post" action="${path}/${name}"><button id="${name}">${name}</button></form>`;
      return void response
        .writeHead(200, { 'content-type': 'text/html', ...options.pageHeaders })
        .end(`<!doctype html><title>Consent</title>${form('approve')}${form('deny')}`);
    }
    if (decision === 'deny')
      return provider.interactionFinished(
        request,
        response,
        { error: 'access_denied', error_description: 'No, thanks' },
        { mergeWithLastSubmission: false },
      );
    const { params } = await provider.interactionDetails(request, response);
    // OpenID Connect Core 1.0 §3.1.2.1. The pages ask for no user name.
    const accountId = String(params['login_hint'] ?? DEFAULT_ACCOUNT);
    const grant = new provider.Grant({ accountId, clientId: 'client' });
    grant.addOIDCScope(String(params['scope']));
    const grantId = await grant.save();
    await provider.interactionFinished(
      request,
      response,
      { login: { accountId }, consent: { grantId } },
      { mergeWithLastSubmission: false },
    );
  });
  await listen(cleanup, server, port);
  return { issuer, clientSecret };
}

/** The YAML of the integration for this server. */
export function authorizationServerIntegration(
  { issuer }: AuthorizationServer,
  { name = 'acme', auth = '', settings = '    oauth_client_secret: ${AS_SECRET}' } = {},
): string {
  return `integrations:
  ${name}:
    oauth_client_id: client
${settings}
    oauth_scopes: [openid, offline_access]
    auth:
      auth_mode: OAUTH2
      authorization_url: ${issuer}/auth
      token_url: ${issuer}/token
      issuer: ${issuer}
      authorization_params: { prompt: consent }
${auth}
    requests:
      base_url: ${issuer}/
      headers:
        Authorization: Bearer \${access_token}
`;
}
