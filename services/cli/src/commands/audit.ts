import { type AuditCheck, checkAudit } from '@vigil/pipeline';
import { createLogger } from '@vigil/runtime';
import { fail, green, note, red, say, yellow } from '../output.ts';
import { configOf, ofInstallation } from '../settings.ts';

/** `vigil audit verify`: is everything that was said and done in all cases still as it was written? Code 1 when not. */
export async function verifyAudit(options: { data?: string; roots?: string; json?: boolean }): Promise<void> {
  const logger = createLogger({ level: 'error', to: 'stderr' });
  const check = await ofInstallation(checkAudit(configOf(options.data), logger, options.roots));
  if (options.json) say(JSON.stringify(check));
  else for (const line of words(check)) say(line);
  if (check.inFile + check.onLog === 0 && check.roots > 0) {
    note(
      yellow(`no copy of the roots was found (${check.file}): what was rooted could have been rewritten as a whole`),
    );
  }
  if (check.broken) fail(`broken: ${where(check)}${check.broken.what}`, 1);
}

function words({ cases, events, roots, inFile, onLog, papers, unrooted, broken }: AuditCheck): string[] {
  const links = `${events} links in the chains of ${cases} cases`;
  if (broken) return [red(`not whole, seen after ${links}`)];
  return [
    green(`whole: ${links}, ${roots} roots`),
    `roots compared with copies: ${inFile} in the file, ${onLog} on the log; links not rooted yet: ${unrooted}`,
    `papers: ${papers.whole} as written, ${papers.erased} erased`,
  ];
}

function where({ broken }: AuditCheck): string {
  const { case: id, seq, root } = broken!;
  const parts = [root && `root ${root}`, id && `case ${id}`, seq && `link ${seq}`].filter(Boolean);
  return parts.length > 0 ? `${parts.join(', ')}: ` : '';
}
