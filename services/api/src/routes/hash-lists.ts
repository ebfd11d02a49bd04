import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { codeFromHex, derivedId } from '@vigil/contracts';
import { findWork } from '@vigil/database';
import { type HashReference, MAX_HASHES } from '@vigil/pipeline';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { holderFor, ownRow, type Principal } from '../principal.ts';
import { type Route, route } from '../route.ts';
import { Holder, Id, Name } from '../schemas.ts';

const MIN_QUALITY = 50;
const MAX_CSV_BYTES = 64 * 2 ** 20;
const MAX_ERRORS = 100;
const MAX_LINE = 10_000;

const Imported = z
  .object({
    added: z.number().int(),
    known: z.number().int().describe('were there already'),
    skipped: z.number().int().describe('not PDQ, or of a quality below 50'),
    invalid: z.number().int(),
    errors: z.array(z.object({ at: z.number().int().describe('item or line, from 1'), detail: z.string() })),
    references: z.array(z.string()).describe('ids, of the first thousand'),
  })
  .meta({ id: 'Imported' });

const Hash = z.string().max(200);
const Quality = z.number().min(0).max(100);
/** ThreatExchange's indicators, HMA's hash results, or plain. */
const Item = z
  .looseObject({
    hash: Hash.optional(),
    signal_type: z.string().optional(),
    signal_value: Hash.optional(),
    type: z.string().optional(),
    indicator: Hash.optional(),
    pdq: Hash.optional(),
    quality: Quality.optional(),
    name: Name.optional(),
    id: z.union([z.string(), z.number()]).optional(),
  })
  .describe(
    '{hash, quality?, name?}, HMA {signal_type: "pdq", signal_value}, ThreatExchange {type: "HASH_PDQ", indicator}, or {pdq}',
  );

interface Row {
  at: number;
  hash: string | undefined;
  quality?: number | undefined;
  name?: string | undefined;
}

export function hashListRoutes({ database, intake }: Deps): Route[] {
  const db = database.postgres;

  /** One work for the whole list: a hash says nothing of which work it shows. */
  async function listWork(
    who: Principal,
    about: { work?: string | undefined; holder?: string | undefined; title: string },
  ) {
    if (about.work) {
      const work = ownRow(who, await findWork(db, about.work), 'work', about.work);
      return { holder: work.holder, work: work.id, title: work.title };
    }
    const holder = holderFor(who, about.holder);
    return { holder, work: derivedId('work', holder, 'hash-list', about.title), title: about.title };
  }

  async function take(rows: AsyncIterable<Row> | Iterable<Row>, about: Awaited<ReturnType<typeof listWork>>) {
    const done = { added: 0, known: 0, skipped: 0, invalid: 0, errors: [] as { at: number; detail: string }[] };
    const references: string[] = [];
    let batch: HashReference[] = [];
    const flush = async () => {
      if (batch.length === 0) return;
      for (const { known, reference } of await intake.hashes(batch, about)) {
        done[known ? 'known' : 'added']++;
        if (references.length < 1000) references.push(reference.id);
      }
      batch = [];
    };
    for await (const { at, hash, quality, name } of rows) {
      if (hash === undefined || (quality ?? MIN_QUALITY) < MIN_QUALITY) {
        done.skipped++;
      } else if (!/^[0-9a-f]{64}$/i.test(hash)) {
        done.invalid++;
        if (done.errors.length < MAX_ERRORS) done.errors.push({ at, detail: 'a PDQ hash is 64 hexadecimal digits' });
      } else {
        const code = codeFromHex(hash);
        batch.push({ code, quality, name: name ?? hash.toLowerCase() });
      }
      if (batch.length === MAX_HASHES) await flush();
    }
    await flush();
    return { ...done, references };
  }

  const answer = { status: 202, describe: 'What became of the items; they are live moments later', schema: Imported };
  return [
    route({
      method: 'POST',
      path: '/v1/hash-lists',
      tag: 'references',
      summary: 'Register pictures by their PDQ hashes, without media',
      details:
        'Takes what ThreatExchange and Hasher-Matcher-Actioner give out. Without media there is no second look: what is found goes by `onPossible` of the policy, a review by default.',
      verb: 'references:write',
      maxBytes: 8 * 2 ** 20,
      body: z.strictObject({
        title: Name.default('Hash list').describe('of the work that they belong to, when none is named'),
        work: Id.optional(),
        holder: Holder.optional(),
        items: z.array(Item).max(50_000).optional(),
        data: z.array(Item).max(50_000).optional().describe('the same, as ThreatExchange calls it'),
      }),
      answer,
      problems: ['not-found'],
      async run({ body }, { who }) {
        const about = await listWork(who, body);
        const items = body.items ?? body.data ?? [];
        return {
          body: await take(
            items.map((item, n) => rowOf(item, n + 1)),
            about,
          ),
        };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/hash-lists/csv',
      tag: 'references',
      summary: 'The same in bulk, as CSV',
      details:
        'A line an item: the hash, and if you like quality and a name, in the order that the first line says (default: hash,quality,name).',
      verb: 'references:write',
      maxBytes: MAX_CSV_BYTES,
      query: z.object({ title: Name.default('Hash list'), work: Id.optional(), holder: Holder.optional() }),
      body: { stream: 'text/csv', describe: 'UTF-8, with or without a first line of names' },
      answer,
      problems: ['not-found'],
      run: async ({ query, body }, { who }) => ({ body: await take(csvRows(body), await listWork(who, query)) }),
    }),
  ];
}

function rowOf(item: z.output<typeof Item>, at: number): Row {
  const kind = (item.signal_type ?? item.type)?.toLowerCase();
  const named = item.name ?? (item.id === undefined ? undefined : `${item.id}`.slice(0, 500));
  const more = { at, quality: item.quality, ...(named ? { name: named } : {}) };
  if (kind !== undefined && kind !== 'pdq' && kind !== 'hash_pdq') return { ...more, hash: undefined };
  return { ...more, hash: item.hash ?? item.pdq ?? item.signal_value ?? item.indicator ?? '' };
}

/** Fields have no line breaks in them: a hash, a number, a name. */
async function* csvRows(body: Readable): AsyncGenerator<Row> {
  if (body.errored) throw body.errored;
  let columns = ['hash', 'quality', 'name'];
  let at = 0;
  for await (const line of createInterface({ input: body, crlfDelay: Number.POSITIVE_INFINITY })) {
    at++;
    if (line.length > MAX_LINE) {
      yield { at, hash: '' };
      continue;
    }
    const fields = fieldsOf(at === 1 ? line.replace(/^\uFEFF/, '') : line);
    if (fields.every((f) => f === '')) continue;
    if (at === 1 && fields.some((f) => ['hash', 'pdq'].includes(f.toLowerCase()))) {
      columns = fields.map((f) => f.toLowerCase().replace(/^pdq$/, 'hash'));
      continue;
    }
    const value = (name: string) => fields[columns.indexOf(name)] || undefined;
    const quality = Number(value('quality') ?? Number.NaN);
    yield {
      at,
      hash: value('hash') ?? '',
      ...(Number.isFinite(quality) ? { quality: Math.min(100, Math.max(0, quality)) } : {}),
      ...(value('name') ? { name: value('name')!.replaceAll('\0', '').slice(0, 500) } : {}),
    };
  }
}

/** RFC 4180, one line. */
function fieldsOf(line: string): string[] {
  const fields: string[] = [];
  for (const [, quoted, plain] of line.matchAll(/(?<=^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g))
    fields.push((quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"')).trim());
  return fields;
}
