import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AttemptResult } from '../../connections/connect-flow.ts';
import { NangoError } from '../../errors/nango-error.ts';

/** What the page posts to the window that opened it. */
export interface ResultMessage {
  readonly source: 'nango';
  readonly status: 'succeeded' | 'failed';
  readonly error: { readonly type: string; readonly message: string } | null;
}

const STYLE = `
:root { color-scheme: light dark; --text: #16181d; --muted: #5c6370; --page: #f4f5f7; --card: #fff; --line: #e3e5ea; --good: #12805c; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --text: #eceef2; --muted: #a0a7b4; --page: #121317; --card: #1b1d23; --line: #2c2f38; --good: #4cc38a; --bad: #ff8f87 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 26rem; padding: 2rem; text-align: center; background: var(--card); border: 1px solid var(--line); border-radius: 14px }
svg { width: 44px; height: 44px }
h1 { margin: .75rem 0 .25rem; font-size: 1.25rem }
p { margin: .5rem 0 0; color: var(--muted); overflow-wrap: anywhere }
code { font: .8125rem ui-monospace, monospace }
.good { color: var(--good) } .bad { color: var(--bad) }`;

const SCRIPT = `
history.replaceState(null, '', location.pathname);
const { origin, message } = JSON.parse(document.getElementById('result').textContent);
if (origin && window.opener) {
  window.opener.postMessage(message, origin);
  window.close();
}`;

const CHECK =
  '<svg class="good" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true"><circle cx="12" cy="12" r="10"/><path d="m7.5 12.5 3 3 6-6.5"/></svg>';
const CROSS =
  '<svg class="bad" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true"><circle cx="12" cy="12" r="10"/><path d="m9 9 6 6m0-6-6 6"/></svg>';

// Hashes rather than 'unsafe-inline': text that slipped through the escaping could still not run.
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `script-src ${sourceHash(SCRIPT)}`,
  `style-src ${sourceHash(STYLE)}`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * Shows how an attempt ended and tells the opener, by `postMessage` to exactly the origin that began it. The page asks
 * nobody for anything, is never stored or framed, and takes code and state out of the address bar.
 */
export function sendResultPage(reply: FastifyReply, result: AttemptResult): FastifyReply {
  const code = result.status === 'failed' && reply.statusCode === 200 ? 400 : reply.statusCode;
  return reply
    .code(code)
    .header('content-type', 'text/html; charset=utf-8')
    .header('content-security-policy', CONTENT_SECURITY_POLICY)
    .header('cache-control', 'no-store')
    .header('referrer-policy', 'no-referrer')
    .header('x-frame-options', 'DENY')
    .header('permissions-policy', 'camera=(), microphone=(), geolocation=()')
    .send(renderResultPage(result));
}

/** The same page for an error that belongs to no attempt we may speak about. */
export function sendFailurePage(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = error instanceof NangoError;
  if (!known || error.status >= 500) request.log.error({ err: error }, 'connect page failed');
  const described = known
    ? { type: error.code, message: error.message }
    : { type: 'internal_error', message: 'The server could not go on; its log says why.' };
  const result: AttemptResult = { status: 'failed', integration: '', userId: '', origin: null, error: described };
  return sendResultPage(reply.code(known ? error.status : 500), result);
}

/** The page's HTML; provider text and names are text, whatever they hold. */
export function renderResultPage({ status, error, integration, origin }: AttemptResult): string {
  const succeeded = status === 'succeeded';
  const message: ResultMessage = { source: 'nango', status: succeeded ? 'succeeded' : 'failed', error };
  const title = succeeded ? 'Connected' : error?.type === 'access_denied' ? 'Access denied' : 'Not connected';
  const text = succeeded
    ? `${integration} is connected. You can close this window.`
    : (error?.message ?? 'The connection was not made.');
  const code = succeeded ? '' : `<p><code>${escapeHtml(error?.type ?? 'internal_error')}</code></p>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${succeeded ? CHECK : CROSS}
<h1>${title}</h1>
<p>${escapeHtml(text)}</p>
${code}
</main>
<script type="application/json" id="result">${toScriptJson({ origin, message })}</script>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

/** JSON that cannot end the script element it stands in. */
function toScriptJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function sourceHash(source: string): string {
  return `'sha256-${createHash('sha256').update(source, 'utf8').digest('base64')}'`;
}
