import type { FastifyReply } from 'fastify';
import { LINK_ENDS, type ConnectLink, type LinkEnd } from '../../connect/link-flow.ts';
import { logoImage, type ShownApplication } from './application.ts';
import { BEGIN_SCRIPT } from './begin-script.ts';
import { ownerOf } from './connect-page.ts';
import { CHECK, CROSS } from './icons.ts';
import { escapeHtml, sendPage } from './page.ts';

// The user can come back to this page and try again. A browser may then show it as it was left.
const SCRIPT = `${BEGIN_SCRIPT}
addEventListener('pageshow', () => setGoing(false));
for (const button of buttons)
  button.addEventListener('click', () => begin({ integration: button.value }, (url) => location.assign(url)));`;

const ENDED_STATUS = 410;
const TITLES: Readonly<Record<LinkEnd, string>> = {
  used: 'This link was used',
  expired: 'This link has expired',
  unknown: 'This link does not work',
};

/** Sends the page of a link: who asks, whose account it becomes, and a button for each Integration. */
export function sendLinkPage(reply: FastifyReply, link: ConnectLink, application: ShownApplication): FastifyReply {
  const [first = '', ...others] = link.integrations;
  const title = others.length === 0 ? `Connect ${first} to ${application.name}` : `Connect to ${application.name}`;
  const shownName = escapeHtml(application.name);
  const choice = others.length === 0 ? '' : ' This link connects one of these services.';
  const buttons = link.integrations.map(
    (name) => `<button type="button" value="${escapeHtml(name)}">Connect ${escapeHtml(name)}</button>`,
  );
  const body = `<main>
${logoImage(application)}
<h1>${escapeHtml(title)}</h1>
<p><b>${shownName}</b> asks you to connect an account.${choice}</p>
<p>It becomes part of ${ownerOf(link, application)}. <b>${shownName}</b> can then use it.</p>
<p class="small">Continue only if this is your account in ${shownName} and you expected this link.</p>
${buttons.join('\n')}
<p class="small bad" id="problem" role="alert"></p>
<noscript><p class="bad">This page needs JavaScript.</p></noscript>
</main>`;
  return sendPage(reply, { title, body, data: null, script: SCRIPT, connectTo: "'self'" });
}

/** Sends the page of a link that cannot be used. */
export function sendLinkEndPage(reply: FastifyReply, end: LinkEnd): FastifyReply {
  const title = TITLES[end];
  const body = `<main>
${end === 'used' ? CHECK : CROSS}
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(LINK_ENDS[end])}</p>
</main>`;
  return sendPage(reply.code(ENDED_STATUS), { title, body, data: null, script: '' });
}
