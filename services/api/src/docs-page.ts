import { PROBLEMS } from './problem.ts';

type Json = Record<string, unknown>;
interface Operation {
  tags: string[];
  summary: string;
  description: string;
  parameters: { name: string; in: string; required: boolean; description?: string; schema: Json }[];
  requestBody?: { description?: string; content: Record<string, { schema: Json }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: Json }> }>;
}

/** The OpenAPI document as a page to read: plain HTML, no script. */
export function docsPage(document: Json): string {
  const info = document.info as { title: string; version: string; summary: string };
  const all = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const tags = (document.tags as { name: string }[]).map((t) => t.name);
  const schemas = (document.components as { schemas: Record<string, Json> }).schemas;
  const sections = tags.map((tag) => {
    const own = all.filter((o) => o.operation.tags.includes(tag));
    return `<section id="${html(tag)}"><h2>${html(tag)}</h2>${own.map(operationHtml).join('')}</section>`;
  });
  const problems = Object.entries(PROBLEMS).map(
    ([type, [status, title]]) =>
      `<tr><td><code>urn:vigil:problem:${html(type)}</code></td><td>${status}</td><td>${html(title)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${html(info.title)} API</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; background: #fff }
code, pre { font: 14px/1.4 ui-monospace, monospace; background: #f2f4f7; border-radius: 4px } code { padding: .1em .3em }
pre { padding: .7rem; overflow: auto; max-height: 24rem } h3 { margin: 2rem 0 .3rem } table { border-collapse: collapse }
td, th { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; border-bottom: 1px solid #e4e7eb }
summary { cursor: pointer } .m { color: #0b5cad; font-weight: 600 }
@media (prefers-color-scheme: dark) { body { color: #e6e8eb; background: #16181c } code, pre { background: #24272d } td, th { border-color: #333840 } .m { color: #7db7ff } }
</style>
<h1>${html(info.title)} API</h1>
<p>${html(info.summary)} The same as a document for programs: <a href="/openapi.json">/openapi.json</a>.</p>
<p>Send <code>authorization: Bearer &lt;key&gt;</code>. Lists are pages: follow <code>next</code> with <code>cursor</code>. What changes has
an ETag, which a change has to name in <code>if-match</code>. A POST under an <code>idempotency-key</code> is done once, however often it is sent.</p>
<nav>${tags.map((t) => `<a href="#${html(t)}">${html(t)}</a>`).join(' · ')} · <a href="#problems">problems</a></nav>
${sections.join('\n')}
<section><h2>schemas</h2>${Object.entries(schemas)
    .map(
      ([name, schema]) =>
        `<details id="schema-${html(name)}"><summary>${html(name)}</summary>${json(schema)}</details>`,
    )
    .join('')}</section>
<section id="problems"><h2>problems</h2><table><tr><th>type</th><th>status</th><th>means</th></tr>${problems.join('')}</table></section>
</html>`;
}

function operationHtml({ path, method, operation }: { path: string; method: string; operation: Operation }): string {
  const parameters = operation.parameters.map(
    (p) =>
      `<tr><td><code>${html(p.name)}</code></td><td>${p.in}${p.required ? ', required' : ''}</td><td>${html(p.description ?? '')}</td></tr>`,
  );
  const body = operation.requestBody;
  const bodies = Object.entries(body?.content ?? {}).map(
    ([type, { schema }]) => `<p>Body, <code>${html(type)}</code> ${html(body?.description ?? '')}</p>${json(schema)}`,
  );
  const [status, answer] = Object.entries(operation.responses)[0]!;
  const answers = Object.entries(answer.content ?? {}).map(([, { schema }]) => json(schema));
  return `<h3><span class="m">${method}</span> <code>${html(path)}</code></h3>
<p>${html(operation.summary)}. ${html(operation.description)}</p>
${parameters.length > 0 ? `<table>${parameters.join('')}</table>` : ''}
${bodies.join('')}
<details><summary>${status}: ${html(answer.description)}</summary>${answers.join('')}</details>`;
}

const json = (value: unknown): string => `<pre>${html(JSON.stringify(value, null, 2))}</pre>`;

const html = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
