import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';

/** Where in which trace we are (W3C Trace Context). */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 of them: the span that caused what is done now; null where the trace begins here. */
  spanId: string | null;
  sampled: boolean;
  /** Of other vendors, handed on as it came. */
  state?: string | undefined;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZEROS = /^0+$/;
/** What is not, no log of ours takes as a header: one that came with it could send nothing on. */
const PRINTABLE = /^[\x20-\x7e]+$/;
const MOST_STATE = 512;

/** null: it is none, as the specification says; whoever reads on begins a trace. */
export function parseTraceparent(text: string | undefined, state?: string): TraceContext | null {
  const [, version, traceId, spanId, flags, rest] = TRACEPARENT.exec(text?.trim() ?? '') ?? [];
  if (!version || !traceId || !spanId || !flags) return null;
  if (version === 'ff' || (version === '00' && rest) || ZEROS.test(traceId) || ZEROS.test(spanId)) return null;
  const more = state && state.length <= MOST_STATE && PRINTABLE.test(state) ? { state } : {};
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1, ...more };
}

/** The trace that an event came with, by the names of Kafka's clients or of CloudEvents. */
export const traceOf = (headers: Readonly<Record<string, string>>): TraceContext | null =>
  parseTraceparent(headers.traceparent ?? headers.ce_traceparent, headers.tracestate ?? headers.ce_tracestate);

/** For an event that came with none: always the same for the same event, so that reading it again begins no other trace. */
export function beginTrace(event: string): TraceContext {
  const digest = createHash('sha256').update(`trace:${event}`).digest('hex');
  return { traceId: digest.slice(0, 32), spanId: null, sampled: false };
}

export function formatTraceparent({ traceId, spanId, sampled }: TraceContext): string {
  // Where nobody records spans, the beginning of a trace has no span of its own: it is named by the trace.
  return `00-${traceId}-${spanId ?? traceId.slice(0, 16)}-${sampled ? '01' : '00'}`;
}

const here = new AsyncLocalStorage<TraceContext>();
export const currentTrace = (): TraceContext | null => here.getStore() ?? null;
export const inTrace = <T>(context: TraceContext | null, work: () => T): T =>
  context ? here.run(context, work) : work();

/**
 * Headers of an event that is sent now. `of` is the traceparent that its upload was planned under: it wins where what is done now
 * belongs to no trace, or to another one (a timer, a person's request).
 */
export function traceHeaders(of?: string): Record<string, string> {
  const stored = parseTraceparent(of);
  const now = currentTrace();
  const context = stored && stored.traceId !== now?.traceId ? stored : now;
  if (!context) return {};
  const traceparent = formatTraceparent(context);
  const { state } = context;
  return { traceparent, ce_traceparent: traceparent, ...(state ? { tracestate: state, ce_tracestate: state } : {}) };
}

export type SpanAttributes = Readonly<Record<string, string | number>>;

export interface Tracer extends AsyncDisposable {
  /** Runs the work in the trace; what it sends and logs belongs there. `note` says more of it. A throw marks the span as failed. */
  span<T>(
    name: string,
    parent: TraceContext,
    attributes: SpanAttributes,
    work: (note: (more: SpanAttributes) => void) => Promise<T>,
  ): Promise<T>;
}
