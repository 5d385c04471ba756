import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { addIntegration, suggestedEntry } from '../packages/server/src/config/add-integration.ts';
import { BlueprintCatalog } from '../packages/server/src/catalog/blueprint-catalog.ts';
import { PROVENANCE, type BlueprintFile } from '../packages/server/src/catalog/blueprint-file.ts';
import { BlueprintIndex, type BlueprintSummary } from '../packages/server/src/catalog/blueprint-index.ts';

// Writes a static, searchable site of the catalog: an index page and one page for each Blueprint. The site sends no
// requests to other sites.
const folder = join(import.meta.dirname, '../packages/server/blueprints');
const target = resolve(process.argv[2] ?? join(import.meta.dirname, '../artifacts/catalog'));
const catalog = new BlueprintCatalog([folder]);
const summaries = (await new BlueprintIndex(folder).search([])).toSorted((one, other) =>
  one.displayName.localeCompare(other.displayName, 'en'),
);

function indexPage(): string {
  const categories = [...new Set(summaries.flatMap((one) => one.categories))].toSorted();
  const cards = summaries.map(
    ({ name, displayName, categories: own, authMode }) =>
      `<a class="card" href="${escape(name)}.html"` +
      ` data-text="${escape([name, displayName, ...own].join(' ').toLowerCase())}"` +
      ` data-categories="${escape(own.join(' '))}"><strong>${escape(displayName)}</strong>` +
      `<code>${escape(name)}</code><span>${escape(authMode)}</span></a>`,
  );
  const options = categories.map(
    (category) => `<option value="${escape(category)}">${escape(words(category))}</option>`,
  );
  return page(
    'Blueprints',
    `<header><h1>Blueprints</h1>
<p>The catalog has ${summaries.length} Blueprints. Each Blueprint is one YAML file.</p></header>
<form role="search" onsubmit="return false">
<input type="search" id="q" placeholder="Search providers" aria-label="Search providers" autofocus>
<select id="category" aria-label="Category"><option value="">All categories</option>${options.join('')}</select></form>
<p id="count" role="status"></p><main class="cards">${cards.join('\n')}</main>
<script>${SEARCH}</script>`,
  );
}

const SEARCH = `
const q = document.getElementById('q');
const category = document.getElementById('category');
const count = document.getElementById('count');
const cards = [...document.querySelectorAll('.card')];
const show = () => {
  const wanted = q.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let shown = 0;
  for (const card of cards) {
    const isInCategory = category.value === '' || card.dataset.categories.split(' ').includes(category.value);
    const fits = isInCategory && wanted.every((word) => card.dataset.text.includes(word));
    card.hidden = !fits;
    if (fits) shown += 1;
  }
  count.textContent = shown === 1 ? '1 provider' : shown + ' providers';
};
q.addEventListener('input', show);
category.addEventListener('change', show);
show();`;

async function blueprintPage({
  name,
  displayName,
  categories,
  authMode,
  docsUrl,
  verified,
}: BlueprintSummary): Promise<string> {
  const read = await catalog.file(name);
  const found = await catalog.find(name);
  if (!('file' in read) || !('source' in found))
    throw new Error(`The Blueprint ${name} is not valid. Run: nango blueprints check`);
  const { file } = read;
  const { auth, config, requests, version } = found;
  const comment = file.versions[version]?.comment;
  const entry = addIntegration('', { name, entry: suggestedEntry(found, name) }).trimEnd();
  const registers = /^OAUTH[12]$/.test(authMode) ? 'Register an application' : 'Get the credentials';
  const categoryNames = categories.map(words).join(', ');
  const contents = stringify({ auth, requests }, { lineWidth: 100 }).trimEnd();
  const consoleLink = file.console_url ? ` · <a href="${escape(file.console_url)}">${registers}</a>` : '';
  return page(
    displayName,
    `<header><p><a href="index.html">← Blueprints</a></p><h1>${escape(displayName)}</h1>
<p><code>${escape(name)}:${escape(version)}</code> · ${escape(authMode)} · ${escape(categoryNames)}</p>
<p><a href="${escape(docsUrl)}">The provider’s documentation</a>${consoleLink}</p></header>
<main>${comment ? `<h2>Before you start</h2><p>${escape(comment)}</p>` : ''}
<h2>Add the Integration</h2><pre><code>${escape(entry)}</code></pre>
<p>Or run <code>npx nango blueprints add ${escape(name)}</code></p>
${fieldsTable('Settings of the application', fieldsOf(config, 'application'))}
${fieldsTable('Settings per connection', fieldsOf(config, 'connection'))}
${fieldsTable('Prompted credentials', auth['credentials'])}
<h2>Contents of the Blueprint</h2><pre><code>${escape(contents)}</code></pre>
${verified ? provenance(verified) : ''}</main>`,
  );
}

function fieldsOf(config: Record<string, unknown> | undefined, who: 'application' | 'connection'): object {
  const setBy = (field: unknown) =>
    typeof field === 'object' && field !== null && 'set_by' in field ? field.set_by : 'connection';
  return Object.fromEntries(Object.entries(config ?? {}).filter(([, field]) => setBy(field) === who));
}

function fieldsTable(title: string, fields: unknown): string {
  if (typeof fields !== 'object' || fields === null || Object.keys(fields).length === 0) return '';
  const rows = Object.entries(
    fields as Record<string, Record<'label' | 'description' | 'example', string | undefined>>,
  ).map(
    ([name, { label, description, example }]) =>
      `<tr><td><code>${escape(name)}</code></td><td>${escape([label, description].filter(Boolean).join('. '))}</td>` +
      `<td>${example === undefined ? '' : `<code>${escape(example)}</code>`}</td></tr>`,
  );
  const head = '<tr><th>Name</th><th>Meaning</th><th>Example</th></tr>';
  return (
    `<h2>${title}</h2><div class="table"><table><thead>${head}</thead>` +
    `<tbody>${rows.join('')}</tbody></table></div>`
  );
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${escape(title)}</title><style>${STYLE}</style></head><body>${body}</body></html>
`;
}

const STYLE = `
:root { color-scheme: light dark; --text: #1b1f24; --dim: #5b6470; --back: #fbfbfc; --card: #fff; --line: #e2e5e9;
  --accent: #2457d6; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e7eaee; --dim: #9aa4b1; --back: #14171a; --card: #1c2024; --line: #2d333a; --accent: #8db0ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1rem 4rem; font: 1rem/1.55 system-ui, sans-serif;
  color: var(--text); background: var(--back); }
h1 { font-size: 1.9rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
a { color: var(--accent); }
header p { color: var(--dim); margin: .3rem 0; }
form { display: flex; gap: .6rem; margin: 1.2rem 0 .4rem; position: sticky; top: 0; background: var(--back);
  padding: .5rem 0; flex-wrap: wrap; }
input, select { font: inherit; padding: .55rem .7rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--card); color: inherit; }
input { flex: 1 1 14rem; min-width: 0; }
select { flex: 0 1 13rem; }
#count { color: var(--dim); margin: 0 0 .8rem; font-size: .9rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .7rem; }
.card { display: grid; align-content: start; gap: .15rem; padding: .8rem .9rem; border: 1px solid var(--line);
  border-radius: .7rem; background: var(--card); text-decoration: none; color: inherit; overflow: hidden; }
.card[hidden] { display: none; }
.card:hover, .card:focus-visible { border-color: var(--accent); }
.card code, .card span { color: var(--dim); font-size: .8rem; overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: .9rem 1rem; border: 1px solid var(--line); border-radius: .6rem;
  background: var(--card); }
code { font: .88em/1.5 ui-monospace, monospace; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .6rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: break-word; }
th, td code { white-space: nowrap; }
.table { overflow-x: auto; }
.verified { color: var(--dim); font-size: .9rem; margin-top: 2rem; }
.verified ul { padding-left: 1.2rem; }
p, li { overflow-wrap: anywhere; }`;

/** The section that lists the sources of a Blueprint, with URLs as links. */
function provenance({ by, date, sources }: NonNullable<BlueprintFile['verified']>): string {
  const items = sources.map((source) => {
    const linked = escape(source).replace(/https:\/\/[^\s,]+/, (url) => `<a href="${url}">${url}</a>`);
    return `<li>${linked}</li>`;
  });
  const sentence = `On ${escape(date)}, this Blueprint was ${PROVENANCE[by]}.`;
  return `<section class="verified"><h2>Sources</h2><p>${sentence}</p><ul>${items.join('')}</ul></section>`;
}

/** The names of the categories whose name differs from their key. */
const SPELT: Readonly<Record<string, string>> = {
  ai: 'AI',
  crm: 'CRM',
  'e-commerce': 'e-commerce',
  'e-signature': 'e-signature',
  erp: 'ERP',
  hr: 'HR',
};

function words(category: string): string {
  return SPELT[category] ?? category.replaceAll('-', ' ');
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
await writeFile(join(target, 'index.html'), indexPage());
for (const summary of summaries) await writeFile(join(target, `${summary.name}.html`), await blueprintPage(summary));
process.stdout.write(`Wrote ${summaries.length + 1} pages to ${target}\n`);
