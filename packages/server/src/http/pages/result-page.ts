import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AttemptResult } from '../../connect/connect-flow.ts';
import { publicError } from '../../connect/attempt-steps.ts';
import { hasLoopbackRoot } from '../../connect/connect-sessions.ts';
import type { ConnectionContext } from '../../connections/connection-context.ts';
import { INTERNAL_ERROR, NangoError } from '../../errors/nango-error.ts';
import { hasTrait } from '../../errors/registry.ts';
import { CHECK, CROSS } from './icons.ts';
import { escapeHtml, sendPage, type Page } from './page.ts';

/** The message that the page posts to its opener. */
export interface ResultMessage {
  readonly source: 'nango';
  readonly status: 'succeeded' | 'failed';
  readonly error: { readonly type: string; readonly message: string } | null;
  readonly alsoConnectedAs?: readonly string[];
}

const SCRIPT = `
history.replaceState(null, '', location.pathname);
const { origin, message } = JSON.parse(document.getElementById('data').textContent);
if (origin && window.opener) {
  window.opener.postMessage(message, origin);
  window.close();
}`;

const INCOMPLETE_LINK =
  'This link is not complete. Go back to the application that you came from, and connect from there.';

/**
 * Sends the page that shows how an attempt ended and posts the result to the origin that began the attempt. The page
 * sends no request, is never stored or framed, and removes code and state from the address bar.
 */
export function sendResultPage(reply: FastifyReply, result: AttemptResult): FastifyReply {
  const code = result.status === 'failed' && reply.statusCode === 200 ? 400 : reply.statusCode;
  return sendPage(reply.code(code), resultPage(result));
}

/** What decides who reads a failure page. */
export type FailureContext = Pick<ConnectionContext, 'config'>;

interface FailedVisit {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly context: FailureContext;
}

/** Sends the result page for an error that belongs to no known attempt. */
export function sendFailurePage(error: unknown, { request, reply, context }: FailedVisit): FastifyReply {
  const isOurs = error instanceof NangoError;
  if (!isOurs || error.status >= 500) request.log.error({ err: error }, 'connect page failed');
  const result: AttemptResult = {
    status: 'failed',
    integration: '',
    userId: '',
    account: '',
    origin: null,
    alsoConnectedAs: [],
    error: shownError(error, context),
  };
  return sendResultPage(reply.code(isOurs ? error.status : 500), result);
}

/** An error as the user of a page reads it. With a loopback root, the user is the developer. */
function shownError(error: unknown, context: FailureContext): NonNullable<AttemptResult['error']> {
  if (!(error instanceof NangoError)) return INTERNAL_ERROR;
  if (hasLoopbackRoot(context)) return { type: error.code, message: error.message };
  return hasTrait(error.code, 'developer') ? { type: error.code, message: INCOMPLETE_LINK } : publicError(error);
}

/** Returns the page of a result. It shows names and the provider's text as plain text, never as HTML. */
export function resultPage(result: AttemptResult): Page {
  const { status, error, integration, origin, alsoConnectedAs, isByLink = false } = result;
  const succeeded = status === 'succeeded';
  const denied = error?.type === 'access_denied';
  const message: ResultMessage = {
    source: 'nango',
    status: succeeded ? 'succeeded' : 'failed',
    error,
    ...(alsoConnectedAs.length === 0 ? {} : { alsoConnectedAs }),
  };
  const title = succeeded ? 'Connected' : denied ? 'Access denied' : 'Not connected';
  const text = succeeded
    ? `${integration} is connected. You can close this window.`
    : (error?.message ?? 'The connection was not made.');
  // The title already says that access was denied.
  const code = succeeded || denied ? '' : `<p><code>${escapeHtml(error?.type ?? 'internal_error')}</code></p>`;
  const canTryAgain = isByLink && !succeeded && error?.type !== 'invalid_link';
  const again = canTryAgain ? '<p class="small">To try again, open the link again.</p>' : '';
  const body = `<main>
${succeeded ? CHECK : CROSS}
<h1>${title}</h1>
<p>${escapeHtml(text)}</p>
${code}
${again}
</main>`;
  return { title, body, data: { origin, message }, script: SCRIPT };
}
