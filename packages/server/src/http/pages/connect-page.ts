import type { FastifyReply } from 'fastify';
import type { WaitingAttempt } from '../../connect/connect-flow.ts';
import { logoImage, type ShownApplication } from './application.ts';
import { BEGIN_SCRIPT } from './begin-script.ts';
import { escapeHtml, sendPage } from './page.ts';
import type { Secret } from '../../vault/secret.ts';

// The opener proves its identity with the nonce that it received with the attempt. The user then continues without a
// confirmation.
const SCRIPT = `${BEGIN_SCRIPT}
history.replaceState(null, '', location.pathname);
const { attempt, origin } = JSON.parse(document.getElementById('data').textContent);
const go = (proof) => begin({ attempt, ...proof }, (url) => location.replace(url));
buttons[0].addEventListener('click', () => go({ confirmed: true }));
if (origin && window.opener) {
  main.hidden = true;
  addEventListener('message', (event) => {
    if (event.source === window.opener && event.origin === origin && event.data?.source === 'nango')
      go({ nonce: String(event.data.nonce) });
  });
  window.opener.postMessage({ source: 'nango', status: 'ready' }, origin);
  setTimeout(() => { main.hidden = isGoing; }, 1500);
}`;

/** Returns the person and the application that a connection will belong to, as HTML. */
export function ownerOf(
  { userId, endUser: { name, email } = {} }: Pick<WaitingAttempt, 'userId' | 'endUser'>,
  application: ShownApplication,
): string {
  const person = name !== undefined && email !== undefined ? `${name} (${email})` : (name ?? email ?? userId);
  return `the account <b>${escapeHtml(person)}</b> in <b>${escapeHtml(application.name)}</b>`;
}

interface ConnectPage {
  readonly attempt: Secret<string>;
  readonly waiting: WaitingAttempt;
  readonly application: ShownApplication;
}

/**
 * Sends the page that shows which account will be connected to which application. The page continues when the opener
 * has proven its identity, or when the user clicks.
 */
export function sendConnectPage(reply: FastifyReply, { attempt, waiting, application }: ConnectPage): FastifyReply {
  const { integration, origin } = waiting;
  const { name } = application;
  const shownName = escapeHtml(name);
  const owner = ownerOf(waiting, application);
  const body = `<main>
${logoImage(application)}
<h1>Connect ${escapeHtml(integration)} to ${shownName}</h1>
<p>The account that you choose next becomes part of ${owner}. <b>${shownName}</b> can then use it.</p>
<p class="small">Continue only if this is your account in ${shownName} and you requested this connection.</p>
<button type="button">Continue</button>
<p class="small bad" id="problem" role="alert"></p>
<noscript><p class="bad">This page needs JavaScript.</p></noscript>
</main>`;
  const title = `Connect ${integration} to ${name}`;
  const data = { attempt: attempt.reveal(), origin };
  return sendPage(reply, { title, body, data, script: SCRIPT, connectTo: "'self'" });
}
