import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';
import { createFileAdapter } from './sandbox-adapter.ts';

const ACCESS_TOKEN_SECONDS = 30;
const REFRESH_TOKEN_SECONDS = 86_400;
const ACCOUNT = 'ada@sandbox.example';
const SCOPES = 'openid offline_access notes';

const NOTES = [
  { id: 3, text: 'Nango added the access token to this request, and refreshes it.' },
  { id: 2, text: 'Refresh tokens rotate here, so each one works once.' },
  { id: 1, text: 'Access tokens of this sandbox live 30 seconds.' },
];

export interface SandboxProviderOptions {
  readonly port: number;
  readonly clientSecret: string;
  readonly redirectUri: string;
  /** Where grants and tokens are stored across restarts. */
  readonly file: string;
}

/** A running sandbox. */
export interface SandboxProvider {
  close(): Promise<void>;
}

/**
 * A real authorization server (oidc-provider) with a small API. Access tokens live 30 seconds, refresh tokens rotate,
 * and PKCE is required.
 */
export async function startSandboxProvider(options: SandboxProviderOptions): Promise<SandboxProvider> {
  const { port } = options;
  const provider = createProvider(`http://localhost:${port}`, options);
  const authorizationServer = provider.callback();
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://sandbox').pathname;
    handle(provider, { path, request, response }).then(
      (handled) => (handled ? undefined : authorizationServer(request, response)),
      () =>
        response
          .writeHead(400, { 'content-type': 'text/plain' })
          .end('This page has expired. Start again from the application.'),
    );
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, 'localhost', resolve));
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function createProvider(issuer: string, { clientSecret, redirectUri, file }: SandboxProviderOptions): Provider {
  const signingKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  return new Provider(issuer, {
    adapter: createFileAdapter(file),
    jwks: { keys: [{ ...signingKey, kty: 'EC', use: 'sig' }] },
    clients: [
      {
        client_id: 'quickstart',
        client_secret: clientSecret,
        client_name: 'Quickstart',
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    cookies: { keys: [randomBytes(32).toString('hex')] },
    scopes: SCOPES.split(' '),
    ttl: {
      AccessToken: ACCESS_TOKEN_SECONDS,
      RefreshToken: REFRESH_TOKEN_SECONDS,
      Grant: REFRESH_TOKEN_SECONDS,
      Session: REFRESH_TOKEN_SECONDS,
      Interaction: 600,
      IdToken: 600,
    },
    rotateRefreshToken: true,
    issueRefreshToken: async () => true,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: async (_context, accountId) => ({ accountId, claims: async () => ({ sub: accountId }) }),
    renderError: async (context, { error, error_description: description }) => {
      context.type = 'html';
      context.body = renderPage('Something is wrong', `<p>${escapeHtml(description ?? error)}</p>`);
    },
  });
}

interface Exchange {
  readonly path: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Serves requests that are not for the authorization server. Resolves to whether it did. */
async function handle(provider: Provider, { path, request, response }: Exchange): Promise<boolean> {
  if (path === '/api/notes') {
    await serveNotes(provider, { path, request, response });
    return true;
  }
  const [, action] = /^\/interaction\/[\w-]+(\/approve|\/deny)?$/.exec(path) ?? [undefined, 'none'];
  if (action === 'none') return false;
  if (action === undefined) return showConsent(provider, { path, request, response });
  if (request.method !== 'POST') return false;
  const result =
    action === '/approve'
      ? await approve(provider, { request, response })
      : { error: 'access_denied', error_description: 'The user denied access.' };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  return true;
}

async function showConsent(provider: Provider, { path, request, response }: Exchange): Promise<boolean> {
  await provider.interactionDetails(request, response);
  const body = `
    <p><strong>Quickstart</strong> wants to use your sandbox account <strong>${ACCOUNT}</strong>.</p>
    <ul><li>Read your notes</li><li>Stay connected while you are away</li></ul>
    <div class="actions">
      <form method="post" action="${path}/deny"><button class="quiet" id="deny">Deny</button></form>
      <form method="post" action="${path}/approve"><button id="approve">Approve</button></form>
    </div>`;
  // No form-action: browsers also apply it to the redirects after the form, and those lead to Nango.
  const policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
  response.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': policy,
    'cache-control': 'no-store',
  });
  response.end(renderPage('Connect your sandbox account', body));
  return true;
}

/** Logs in the only account and grants what was requested, in one step. */
async function approve(provider: Provider, { request, response }: Omit<Exchange, 'path'>) {
  const { params } = await provider.interactionDetails(request, response);
  const grant = new provider.Grant({ accountId: ACCOUNT, clientId: String(params['client_id']) });
  grant.addOIDCScope(String(params['scope']));
  return { login: { accountId: ACCOUNT }, consent: { grantId: await grant.save() } };
}

/** The resource server: RFC 6750 bearer tokens, `?limit=`. */
async function serveNotes(provider: Provider, { request, response }: Exchange): Promise<void> {
  const value = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  const token = value === undefined ? undefined : await provider.AccessToken.find(value);
  if (!token?.isValid) {
    response
      .writeHead(401, { 'content-type': 'application/json', 'www-authenticate': 'Bearer error="invalid_token"' })
      .end('{"error":"invalid_token"}');
    return;
  }
  const limit = Number(new URL(request.url ?? '/', 'http://sandbox').searchParams.get('limit') ?? NOTES.length);
  response
    .writeHead(200, { 'content-type': 'application/json' })
    .end(JSON.stringify({ account: token.accountId, notes: NOTES.slice(0, limit) }));
}

const STYLE = `
:root { color-scheme: light dark; --text: #1d1a26; --muted: #625d70; --page: #f3f1f8; --card: #fff; --line: #e3dfee;
  --accent: #6b4fd8; --on: #fff }
@media (prefers-color-scheme: dark) {
  :root { --text: #eeecf5; --muted: #a59fb5; --page: #131119; --card: #1d1a26; --line: #322d40; --accent: #a893ff;
    --on: #17132a }
}
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.25rem; background: var(--page);
  color: var(--text); font: 16px/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 25rem; padding: 2rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 16px }
.logo { width: 44px; height: 44px; border-radius: 12px; background: var(--accent); color: var(--on); display: grid;
  place-items: center; font-weight: 700; font-size: 1.25rem }
h1 { font-size: 1.25rem; margin: 1rem 0 .5rem }
p { margin: .5rem 0; overflow-wrap: anywhere }
ul { margin: .75rem 0 1.5rem; padding-left: 1.2rem; color: var(--muted) }
.actions { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem }
button { width: 100%; padding: .7rem 1rem; font: inherit; font-weight: 600; border-radius: 10px;
  border: 1px solid var(--accent); background: var(--accent); color: var(--on); cursor: pointer }
button.quiet { background: transparent; color: var(--text); border-color: var(--line) }
button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
`;

function renderPage(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title><style>${STYLE}</style>
</head><body><main><div class="logo" aria-hidden="true">S</div><h1>${title}</h1>${body}</main></body></html>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
