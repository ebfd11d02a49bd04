import type { BrakesView } from '@vigil/pipeline';
import { ask, postAsked, type Remote } from '../ask.ts';
import { bold, dateTime, dim, green, note, red, say, table, UsageError, yellow } from '../output.ts';

type Brake = BrakesView['brakes'][number];

/** `vigil brakes`: those in force, and what canaries and indexes say of themselves. */
export async function listBrakes(options: Remote & { all?: boolean; json?: boolean }): Promise<void> {
  const view = await ask<BrakesView>(options.instance, `/v1/brakes?all=${options.all === true}`);
  if (options.json) return say(JSON.stringify(view));
  if (view.brakes.length === 0) say(green(options.all ? 'no brake was ever set' : 'no brake is set'));
  else {
    const rows = view.brakes.map((b) => [
      b.id,
      paint(b)(b.brake),
      b.subject,
      dateTime(b.setAt),
      `${b.held}`,
      stateOf(b),
    ]);
    for (const line of table([['id', 'brake', 'of', 'set', 'held', 'state'].map(bold), ...rows])) say(line);
    for (const b of view.brakes) note(`${dim(b.id)}  ${b.why}`);
  }
  if (view.witnesses.length === 0) return note(dim('no canary has said anything yet: see `vigil canary --help`'));
  say('');
  const rows = view.witnesses.map((w) => [
    w.name,
    (w.state === 'green' ? green : red)(w.state),
    dateTime(w.at),
    w.message,
  ]);
  for (const line of table([['who', 'says', 'at', 'that'].map(bold), ...rows])) say(line);
}

export async function showBrake(id: string, { instance, json }: Remote & { json?: boolean }): Promise<void> {
  const items: { upload: string; reference: string; heldAt: number }[] = [];
  let brake: Brake | null = null;
  for (let after = ''; ; ) {
    const query = after ? `?after=${encodeURIComponent(after)}` : '';
    const page = await ask<Brake & { items: typeof items }>(instance, `/v1/brakes/${encodeURIComponent(id)}${query}`);
    brake = page;
    items.push(...page.items);
    if (page.items.length < 100) break;
    after = page.items.at(-1)!.upload;
  }
  if (json) return say(JSON.stringify({ ...brake, items }));
  say(`${brake.id}  ${brake.brake} of ${brake.subject}, ${stateOf(brake)}`);
  say(`set ${dateTime(brake.setAt)} by ${brake.setBy}: ${brake.why}`);
  for (const { upload, reference, heldAt } of items) say(`  ${upload}  ${reference}  ${dateTime(heldAt)}`);
}

export async function releaseBrake(
  id: string,
  { instance, rejudge, leave }: Remote & { rejudge?: boolean; leave?: boolean },
): Promise<void> {
  if (rejudge && leave) throw new UsageError('give --rejudge or --leave, not both');
  const body = rejudge || leave ? { rejudge: rejudge === true } : {};
  const brake = await postAsked<Brake>(instance, `/v1/brakes/${encodeURIComponent(id)}/release`, body);
  const then = brake.rejudged ? 'is judged again' : 'stays in review';
  say(`${id} is released; what it held (${brake.held}) ${then}`);
}

export async function setBrake(options: Remote & { reference?: string; holder?: string; why: string }): Promise<void> {
  const { instance, reference, holder, why } = options;
  const body = { ...(reference ? { reference } : {}), ...(holder ? { holder } : {}), why };
  const brake = await postAsked<Brake>(instance, '/v1/brakes', body);
  say(brake.id);
  note(`from now on takedowns ${of(brake)} go to a person, until: vigil brakes release ${brake.id}`);
}

const of = ({ brake, subject }: Brake): string =>
  brake === 'all' ? 'of all kinds' : brake === 'flood-holder' ? `for ${subject}` : `by ${subject}`;
const paint = (b: Brake) => (b.releasedAt !== null ? dim : b.brake === 'all' ? red : yellow);
const stateOf = (b: Brake): string =>
  b.releasedAt === null
    ? `in force${b.everything ? ', holds everything' : ''}`
    : `released ${dateTime(b.releasedAt)} by ${b.releasedBy}`;
