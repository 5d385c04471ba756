import type { Page } from './page.ts';

/** Returns the page at the server's base URL. It shows only public facts. */
export function welcomePage(): Page {
  const body = `<main>
<svg class="good" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true"
><circle cx="12" cy="12" r="10"/><path d="m7.5 12.5 3 3 6-6.5"/></svg>
<h1>Nango is running</h1>
<p>This server connects the users of an application to other companies’ APIs. Only applications use this server,
so you have nothing to do on this page.</p>
<p class="small">For developers: run <code>nango connect</code> to connect an account from the terminal.
<code>/health</code> shows the state of the server.</p>
</main>`;
  return { title: 'Nango', body, data: null, script: '' };
}
