// Spans of OpenTelemetry: a fit, and under it its shards, on whatever machine. Without an SDK in the process none is made.

import {
  type Attributes,
  type Context,
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { version } from "laplace-ts/executor";

const tracer = (): Tracer => trace.getTracer("laplace-ts-cluster", version);

/** A span by name, as W3C's header `traceparent` writes it. */
const NAME = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Whether a text is the name of a span. */
export const isTrace = (text: unknown): text is string => typeof text === "string" && NAME.test(text);

/** The name of a span, for those under it in other processes; undefined where nobody hears of it. */
export function nameOfSpan(span: Span): string | undefined {
  const own = span.spanContext();
  if (!isSpanContextValid(own)) return undefined;
  return `00-${own.traceId}-${own.spanId}-${own.traceFlags.toString(16).padStart(2, "0")}`;
}

/** Where a span of that name is the one above. */
function contextOf(name: string | undefined): Context {
  const found = NAME.exec(name ?? "");
  if (found === null) return ROOT_CONTEXT;
  const [, traceId, spanId, flags] = found;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
  });
}

/** Says on a span what went wrong. */
export function failed(span: Span, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  span.recordException(error instanceof Error ? { name: error.name, message } : message);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}

/** Does something within a span, under another one, or under the one that is active here. */
export async function inSpan<T>(
  name: string,
  attributes: Attributes,
  body: (span: Span) => Promise<T>,
  under?: Span,
): Promise<T> {
  const around = under === undefined ? context.active() : trace.setSpan(context.active(), under);
  const span = tracer().startSpan(name, { attributes }, around);
  try {
    return await context.with(trace.setSpan(around, span), () => body(span));
  } catch (error) {
    failed(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** Begins a span of work that another process asked for. @param above the name of its span */
export const spanFor = (above: string | undefined, name: string, attributes: Attributes): Span =>
  tracer().startSpan(name, { attributes, kind: SpanKind.CONSUMER }, contextOf(above));
