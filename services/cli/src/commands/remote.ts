import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import type { Verdict } from '@vigil/contracts';
import { alteredText } from '@vigil/decision';
import type { ReferenceView, TraceView, UploadView } from '@vigil/pipeline';
import { ask, everything, Problem, type Remote, until } from '../ask.ts';
import { bold, dim, fail, green, note, red, say, spanText, table, UsageError, yellow } from '../output.ts';
import { verdictText } from '../words.ts';

async function send<T>(instance: string, route: string, file: string, query: Record<string, string>): Promise<T> {
  const found = await stat(file).catch(() => null);
  if (!found?.isFile()) throw new UsageError(`there is no file ${file}`);
  const params = new URLSearchParams({ name: path.basename(file), ...query });
  return ask<T>(instance, `${route}?${params}`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: Readable.toWeb(createReadStream(file)) as ReadableStream,
    duplex: 'half',
  });
}

export async function sendUploads(
  files: string[],
  { instance, account, wait }: Remote & { account?: string; wait?: boolean },
): Promise<void> {
  for (const file of files) {
    const { upload } = await send<{ upload: string }>(instance, '/v1/uploads', file, account ? { account } : {});
    if (!wait) {
      say(`${upload}  ${file}`);
      continue;
    }
    const { verdict } = await until(async () => {
      // Until its manifest is there, an upload is not known yet.
      const view = await ask<UploadView>(instance, `/v1/uploads/${upload}`).catch((error: unknown) => {
        if (error instanceof Problem && error.status === 404) return null;
        throw error;
      });
      return view?.verdict ? { verdict: view.verdict } : null;
    });
    say(`${upload}  ${file}  ${painted(verdict)}  ${foundText(verdict)}`);
  }
  if (!wait) note(dim('see what became of one with: vigil trace <upload>'));
}

const painted = (verdict: Verdict): string => {
  const paint = verdict.verdict === 'taken-down' ? red : verdict.verdict === 'cleared' ? green : yellow;
  return paint(verdictText(verdict));
};

function foundText({ decisions }: Verdict): string {
  const best = decisions[0]?.evidence;
  if (!best) return '';
  const segment = best.segments[0];
  const spans = segment ? `${spanText(segment.upload)} is ${spanText(segment.reference)} of ` : '';
  return `${spans}${best.reference.id}, ${alteredText(best.altered)}`;
}

export async function addReferences(
  files: string[],
  { instance, holder, wait }: Remote & { holder: string; wait?: boolean },
): Promise<void> {
  for (const file of files) {
    type Added = { reference: { id: string; version: number }; known: boolean };
    const { reference, known } = await send<Added>(instance, '/v1/references', file, { holder });
    if (!wait) {
      say(`${reference.id}  ${file}${known ? '  (known already)' : ''}`);
      continue;
    }
    const settled = await until(async () => {
      const view = await ask<ReferenceView>(instance, `/v1/references/${reference.id}`);
      return view.state === 'live' || view.state === 'rejected' || view.state === 'disabled' ? view : null;
    });
    say(`${reference.id}  ${file}  ${settled.state}${settled.reason ? ` (${settled.reason})` : ''}`);
    if (settled.state === 'rejected') process.exitCode = 1;
  }
}

export async function listReferences({ instance }: Remote): Promise<void> {
  const references = await everything<ReferenceView>(instance, '/v1/references');
  if (references.length === 0) return note('nothing is protected yet; add works with: vigil reference add FILE...');
  const rows = references.map((r) => [r.id, r.state, r.title, r.holder, r.reason ?? '']);
  for (const line of table([['reference', 'state', 'title', 'holder', 'why'].map(bold), ...rows])) say(line);
}

export async function traceUpload(upload: string, { instance, json }: Remote & { json?: boolean }): Promise<void> {
  const trace = await ask<TraceView>(instance, `/v1/uploads/${encodeURIComponent(upload)}/trace`);
  if (json) return say(JSON.stringify(trace, null, 2));
  const rows = trace.steps.map((s) => [
    dim(`+${((s.startedAt - trace.receivedAt) / 1000).toFixed(3)} s`),
    s.endedAt > s.startedAt ? `${s.endedAt - s.startedAt} ms` : '',
    s.stage,
    s.part,
    s.outcome,
    s.note ?? '',
  ]);
  const id = trace.trace ? dim(`  trace ${trace.trace}`) : '';
  say(`${bold(upload)}  received ${new Date(trace.receivedAt).toISOString()}${id}`);
  for (const line of table([['after', 'took', 'stage', 'part', 'outcome', 'why'].map(bold), ...rows])) say(line);
  if (trace.steps.length === 0) fail('no step is known yet', 1);
}
