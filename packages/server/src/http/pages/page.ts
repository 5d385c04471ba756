import { createHash } from 'node:crypto';
import type { FastifyReply } from 'fastify';

const STYLE = `
:root {
  color-scheme: light dark;
  --text: #16181d; --muted: #5c6370; --page: #f4f5f7; --card: #fff; --line: #e3e5ea;
  --good: #12805c; --bad: #b3261e; --action: #2456d6; --on-action: #fff
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #eceef2; --muted: #a0a7b4; --page: #121317; --card: #1b1d23; --line: #2c2f38;
    --good: #4cc38a; --bad: #ff8f87; --action: #8aaeff; --on-action: #0d1526
  }
}
* { box-sizing: border-box }
body {
  margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif
}
main {
  width: 100%; max-width: 26rem; padding: 2rem; text-align: center;
  background: var(--card); border: 1px solid var(--line); border-radius: 14px
}
main[hidden] { display: none }
svg, img { width: 44px; height: 44px } img { object-fit: contain }
h1 { margin: .75rem 0 .25rem; font-size: 1.25rem; overflow-wrap: anywhere }
p { margin: .5rem 0 0; color: var(--muted); overflow-wrap: anywhere }
b { color: var(--text); font-weight: 600 }
code { font: .8125rem ui-monospace, monospace }
button {
  margin-top: 1.5rem; width: 100%; padding: .75rem 1rem; border: 0; border-radius: 9px;
  background: var(--action); color: var(--on-action); font: inherit; font-weight: 600; cursor: pointer
}
button + button { margin-top: .75rem }
button:disabled { opacity: .6; cursor: default }
button:focus-visible { outline: 3px solid var(--action); outline-offset: 2px }
.small { font-size: .875rem }
.good { color: var(--good) } .bad { color: var(--bad) }`;

/** A page that the server sends to a user's browser. */
export interface Page {
  readonly title: string;
  /** HTML. */
  readonly body: string;
  /** The value that the script reads from the element `data`. */
  readonly data: unknown;
  readonly script: string;
  /** The origin to which the script may send requests; undefined = it may send none. */
  readonly connectTo?: "'self'";
}

/**
 * Sends a page that makes no other request, is never stored or framed, and sends no referrer. The policy permits only
 * the hashes of its own script and style. So an injected script could not run, even if escaping missed it.
 */
export function sendPage(reply: FastifyReply, page: Page): FastifyReply {
  return reply
    .header('content-type', 'text/html; charset=utf-8')
    .header('content-security-policy', contentSecurityPolicy(page))
    .header('cache-control', 'no-store')
    .header('referrer-policy', 'no-referrer')
    .header('x-frame-options', 'DENY')
    .header('permissions-policy', 'camera=(), microphone=(), geolocation=()')
    .send(renderPage(page));
}

/** Returns the page's HTML. The title and the data are inserted as text. */
export function renderPage({ title, body, data, script }: Page): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${body}
<script type="application/json" id="data">${toScriptJson(data)}</script>
<script>${script}</script>
</body>
</html>
`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Escapes text for HTML content and attribute values. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

function contentSecurityPolicy({ script, connectTo }: Page): string {
  return [
    "default-src 'none'",
    `script-src ${sourceHash(script)}`,
    `style-src ${sourceHash(STYLE)}`,
    'img-src data:',
    ...(connectTo === undefined ? [] : [`connect-src ${connectTo}`]),
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** Returns JSON that cannot end its script element. */
function toScriptJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function sourceHash(source: string): string {
  return `'sha256-${createHash('sha256').update(source, 'utf8').digest('base64')}'`;
}
