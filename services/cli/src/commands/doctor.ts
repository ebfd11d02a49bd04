import type { Finding } from '@vigil/pipeline';
import { type Config, ConfigError } from '@vigil/runtime';
import { bold, dim, green, red, say, table, yellow } from '../output.ts';
import { configOf } from '../settings.ts';

/** `vigil doctor`: is everything there that Vigil stands on? Code 1 when something has failed. It needs no running instance. */
export async function doctor(options: { data?: string; json?: boolean }): Promise<void> {
  const findings = await findingsOf(options.data);
  if (options.json) say(JSON.stringify(findings));
  else for (const line of shown(findings)) say(line);
  if (findings.some((f) => f.state === 'failure')) process.exitCode = 1;
}

async function findingsOf(data: string | undefined): Promise<Finding[]> {
  let config: Config;
  try {
    config = configOf(data);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const [, ...problems] = error.message.split('\n- ');
    // Each says by itself what the setting should be.
    return (problems.length > 0 ? problems : [error.message]).map((problem) => {
      const [found = problem, ...todo] = problem.split(': ');
      return { check: 'settings', state: 'failure', found, todo: todo.join(': ') || 'see packages/runtime/README.md' };
    });
  }
  // Loaded when it is needed: whoever misspelt a setting wants to hear of it at once.
  return (await import('@vigil/pipeline')).examine(config);
}

const MARKS: Record<Finding['state'], string> = {
  ok: green('ok'),
  warning: yellow('warning'),
  failure: red('FAILED'),
  skipped: dim('-'),
};

function shown(findings: readonly Finding[]): string[] {
  const lines = table(findings.map((f) => [MARKS[f.state], f.check, f.found]));
  const out = lines.flatMap((line, n) => {
    const { todo } = findings[n]!;
    return todo ? [line, `         ${bold('->')} ${todo}`] : [line];
  });
  const [failed, warned] = (['failure', 'warning'] as const).map((s) => findings.filter((f) => f.state === s).length);
  if (failed === 0 && warned === 0) return [...out, '', green('all well')];
  const words = [failed ? red(`${failed} failed`) : '', warned ? yellow(`${warned} could be better`) : ''];
  return [...out, '', words.filter(Boolean).join(', ')];
}
