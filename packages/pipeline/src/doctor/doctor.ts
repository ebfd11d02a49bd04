import type { Config } from '@vigil/runtime';
import { checkMachine } from './check-machine.ts';
import { checkStores } from './check-stores.ts';
import { type Finding, look, ok, skipped, warning, wordsOf } from './findings.ts';

/**
 * Looks at all that Vigil stands on, by doing what it does: settings, folders, room, programs, kernels, database, log, blobs, clocks.
 * Nothing is left behind but an empty topic, and no instance is disturbed. Never throws: what cannot be looked at is a finding.
 */
export async function examine(config: Config): Promise<Finding[]> {
  const unknown = await look('settings', '', () =>
    config.unknown.length === 0
      ? ok(`roles ${config.roles.join(', ')}`)
      : warning(
          `there is no such setting: ${config.unknown.join(', ')}`,
          'packages/runtime/README.md lists them: mind the spelling',
        ),
  );
  const [machine, stores, spans] = await Promise.all([
    checkMachine(config),
    checkStores(config),
    checkCollector(config),
  ]);
  return [unknown, ...machine, ...stores, spans];
}

async function checkCollector({ watching: { otlpEndpoint } }: Config): Promise<Finding> {
  return look(
    'spans',
    'check OTEL_EXPORTER_OTLP_ENDPOINT: the collector listens for OTLP over HTTP, as a rule on port 4318',
    async () => {
      if (otlpEndpoint === null) return skipped('they are sent nowhere (OTEL_EXPORTER_OTLP_ENDPOINT)');
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"resourceSpans":[]}' };
      const response = await fetch(`${otlpEndpoint}/v1/traces`, { ...init, signal: AbortSignal.timeout(5000) }).catch(
        (error: unknown) => {
          throw new Error(`${otlpEndpoint} does not answer: ${wordsOf(error)}`);
        },
      );
      if (response.ok) return ok(`${otlpEndpoint} takes them`);
      return warning(`${otlpEndpoint} answers ${response.status}`, 'check the address, and OTEL_EXPORTER_OTLP_HEADERS');
    },
  );
}
