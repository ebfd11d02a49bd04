import { z } from 'zod';
import { IDEMPOTENCY_KEY } from './idempotent.ts';
import { VERBS } from './principal.ts';
import { PROBLEM_MEDIA_TYPE, PROBLEMS } from './problem.ts';
import { isStream, type Route } from './route.ts';

type Json = Record<string, unknown>;

/** RFC 9110, section 13.1.1. */
const IF_MATCH = '^(\\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$';
const ALWAYS = [400, 401, 403, 429, 503];

/** The routes as an OpenAPI 3.1 document: its schemas are those that requests are checked by. */
export function openApiDocument(routes: readonly Route[], version: string): Json {
  const schemas: Json = {};
  const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Json => {
    const made = z.toJSONSchema(schema, {
      io,
      override: (about) => inPlainWords(about, io),
      unrepresentable: 'any',
    }) as Json;
    const { $schema: _, $defs = {}, ...rest } = made;
    for (const [name, def] of Object.entries($defs as Json)) schemas[name] = withRefs(def);
    return withRefs(rest) as Json;
  };
  const paths: Record<string, Json> = {};
  for (const it of routes) {
    paths[it.path] ??= {};
    paths[it.path]![it.method.toLowerCase()] = operation(it, schemaOf);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Vigil',
      version,
      summary: 'What rights-holders and platforms do with Vigil beside streaming events.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ key: [] }],
    tags: [...new Set(routes.map((r) => r.tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        key: {
          type: 'http',
          scheme: 'bearer',
          description: `A key of this API, or the token of a person who signed in. Verbs: ${VERBS.join(', ')}.`,
        },
      },
      schemas: {
        ...schemas,
        Problem: {
          type: 'object',
          description: 'RFC 9457. Types never change.',
          required: ['type', 'title', 'status', 'detail'],
          properties: {
            type: { type: 'string', enum: Object.keys(PROBLEMS).map((p) => `urn:vigil:problem:${p}`) },
            title: { type: 'string' },
            status: { type: 'integer' },
            detail: { type: 'string' },
          },
        },
      },
    },
  };
}

/** The same values in words that more readers of such documents know: pairs as arrays of two, NUL as a code point. */
function inPlainWords({ jsonSchema }: { jsonSchema: Json }, io: 'input' | 'output'): void {
  const { prefixItems, pattern } = jsonSchema as { prefixItems?: unknown[]; pattern?: string };
  if (pattern) jsonSchema.pattern = pattern.replaceAll('\\0', '\\u0000');
  // What every body is asked for, whatever its schema says.
  const isFree = jsonSchema.type === 'string' && !['pattern', 'format', 'enum', 'const'].some((k) => k in jsonSchema);
  if (io === 'input' && isFree) jsonSchema.pattern = '^[^\\u0000]*$';
  if (!prefixItems || new Set(prefixItems.map((item) => JSON.stringify(item))).size !== 1) return;
  delete jsonSchema.prefixItems;
  Object.assign(jsonSchema, { items: prefixItems[0], minItems: prefixItems.length, maxItems: prefixItems.length });
}

/** References within one schema become references within the document. */
function withRefs(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withRefs);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([k, v]) => [
      k,
      k === '$ref' && typeof v === 'string' ? v.replace('#/$defs/', '#/components/schemas/') : withRefs(v),
    ]),
  );
}

function operation(it: Route, schemaOf: (schema: z.ZodType, io: 'input' | 'output') => Json): Json {
  const inputs = (schema: z.ZodObject | undefined, place: 'path' | 'query') => {
    if (!schema) return [];
    const { properties = {}, required = [] } = schemaOf(schema, 'input');
    return Object.entries(properties as Record<string, Json>).map(([name, { description, ...of }]) => ({
      name,
      in: place,
      required: place === 'path' || (required as string[]).includes(name),
      ...(description ? { description } : {}),
      schema: of,
    }));
  };
  const header = (name: string, description: string, pattern: string, required = false) => ({
    name,
    in: 'header',
    required,
    description,
    schema: { type: 'string', pattern },
  });
  const { body, answer } = it;
  const statuses = new Set<number>(ALWAYS);
  if (it.params) statuses.add(404);
  if (it.method === 'POST') statuses.add(409);
  if (body) statuses.add(413);
  if (body && !isStream(body)) statuses.add(415);
  if (it.needsIfMatch) for (const s of [412, 428]) statuses.add(s);
  // What takes bytes in may find no room for them.
  if (isStream(it.body)) statuses.add(PROBLEMS['storage-full'][0]);
  for (const p of it.problems ?? []) statuses.add(PROBLEMS[p as keyof typeof PROBLEMS][0]);
  const problems = [...statuses].sort().map((status) => [
    status,
    {
      description: Object.entries(PROBLEMS)
        .filter(([, [s]]) => s === status)
        .map(([type, [, title]]) => `${type}: ${title}`)
        .join('; '),
      content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
    },
  ]);
  const content = answer.schema
    ? { [answer.type ?? 'application/json']: { schema: schemaOf(answer.schema, 'output') } }
    : answer.type
      ? { [answer.type]: { schema: { type: 'string' } } }
      : null;
  return {
    operationId: `${it.method.toLowerCase()}${it.path.replaceAll(/[^a-z0-9]+/gi, '-').replace(/-$/, '')}`,
    tags: [it.tag],
    summary: it.summary,
    description: `${it.details ? `${it.details}\n\n` : ''}Needs \`${it.verb}\`.`,
    parameters: [
      ...inputs(it.params, 'path'),
      ...inputs(it.query, 'query'),
      ...(it.method === 'POST'
        ? [header('Idempotency-Key', 'the same request under the same key is answered once', IDEMPOTENCY_KEY.source)]
        : []),
      ...(it.needsIfMatch ? [header('If-Match', 'the ETag of the version that is changed', IF_MATCH, true)] : []),
    ],
    ...(body
      ? {
          requestBody: {
            required: true,
            ...(isStream(body) ? { description: body.describe } : {}),
            content: isStream(body)
              ? { [body.stream]: { schema: { type: 'string', format: 'binary' } } }
              : { 'application/json': { schema: schemaOf(body, 'input') } },
          },
        }
      : {}),
    responses: {
      [answer.status]: { description: answer.describe, ...(content ? { content } : {}) },
      ...(answer.ranges
        ? {
            206: { description: 'The part that was asked for', content },
            416: { description: 'There is no such part' },
          }
        : {}),
      ...Object.fromEntries(problems),
    },
  };
}
