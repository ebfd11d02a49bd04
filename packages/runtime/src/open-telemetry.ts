import { DiagLogLevel, diag, ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor, RandomIdGenerator } from '@opentelemetry/sdk-trace-base';
import type { Logger } from './logger.ts';
import { redactText } from './redact.ts';
import { inTrace, type TraceContext, type Tracer } from './trace.ts';

/** What is not sent by then is left. */
const FLUSH_MS = 3000;
/** Spans that wait to be sent; more are dropped, since the work that they tell of goes first. */
const QUEUE = { maxQueueSize: 4096, maxExportBatchSize: 512, scheduledDelayMillis: 1000, exportTimeoutMillis: 10_000 };

/**
 * Sends spans to `<endpoint>/v1/traces` as OTLP over HTTP. More headers (keys of a vendor) come from OTEL_EXPORTER_OTLP_HEADERS, as the
 * exporter itself reads it. A trace that came unsampled stays so.
 */
export function openOpenTelemetry(
  endpoint: string,
  { service, version, logger }: { service: string; version: string; logger: Logger },
): Tracer {
  const say = (message: string, ...rest: unknown[]) =>
    logger.warn({ about: [message, ...rest].map((one) => redactText(String(one))).join(' ') }, 'spans are not sent');
  diag.setLogger(
    { error: say, warn: say, info: () => undefined, debug: () => undefined, verbose: () => undefined },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  const random = new RandomIdGenerator();
  /** Of the root span that is begun right now: its trace has an id already. */
  let wanted: string | null = null;
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'service.version': version }),
    idGenerator: { generateTraceId: () => wanted ?? random.generateTraceId(), generateSpanId: random.generateSpanId },
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${endpoint}/v1/traces` }), QUEUE)],
  });
  const tracer = provider.getTracer(service, version);

  function begin(
    name: string,
    { traceId, spanId, sampled }: TraceContext,
    attributes: Record<string, string | number>,
  ) {
    const options = { kind: SpanKind.CONSUMER, attributes };
    if (spanId !== null) {
      const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
      const parent = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
      return tracer.startSpan(name, options, parent);
    }
    wanted = traceId;
    try {
      return tracer.startSpan(name, { ...options, root: true }, ROOT_CONTEXT);
    } finally {
      wanted = null;
    }
  }

  return {
    async span(name, parent, attributes, work) {
      const span = begin(name, parent, { ...attributes });
      const { traceId, spanId, traceFlags } = span.spanContext();
      const sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
      try {
        return await inTrace({ traceId, spanId, sampled, state: parent.state }, () =>
          work((more) => void span.setAttributes(more)),
        );
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: redactText(String(error)) });
        throw error;
      } finally {
        span.end();
      }
    },
    async [Symbol.asyncDispose]() {
      // While it works the library says what it could not send; of the last ones it tells nobody but us.
      const sent = provider.shutdown().then(() => null, String);
      const late = new Promise<string>((resolve) => {
        setTimeout(resolve, FLUSH_MS, `the last ones were not taken within ${FLUSH_MS} ms, and are left`).unref();
      });
      const why = await Promise.race([sent, late]);
      if (why !== null) say(why);
    },
  };
}
