import type { Logger } from './logger.ts';
import { inTrace, type Tracer } from './trace.ts';

/** Spans are recorded only where they are sent somewhere; without an address traces are carried on, and nothing is loaded for that. */
export async function openTracer(
  endpoint: string | null,
  about: { service: string; version: string; logger: Logger },
): Promise<Tracer> {
  if (endpoint !== null) return (await import('./open-telemetry.ts')).openOpenTelemetry(endpoint, about);
  return {
    span: (_name, parent, _attributes, work) => inTrace(parent, () => work(() => undefined)),
    [Symbol.asyncDispose]: async () => undefined,
  };
}
