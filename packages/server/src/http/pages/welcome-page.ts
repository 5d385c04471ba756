import type { Page } from './page.ts';

/** The page at the server's address. It shows only public facts. */
export function welcomePage(): Page {
  const body = `<main>
<svg class="good" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true"><circle cx="12" cy="12" r="10"/><path d="m7.5 12.5 3 3 6-6.5"/></svg>
<h1>Nango is running</h1>
<p>This server connects the users of an application to other companies’ APIs. Applications use it; there is nothing to do here.</p>
<p class="small">Developers: <code>nango connect</code> connects an account from the terminal, <code>/health</code> tells how the server is.</p>
</main>`;
  return { title: 'Nango', body, data: null, script: '' };
}
