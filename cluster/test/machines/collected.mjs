// An SDK of OpenTelemetry for a process of a test, by node --import: its spans become lines of the file SPANS.
import { appendFileSync } from "node:fs";
import { trace } from "@opentelemetry/api";
import { BasicTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";

const exporter = {
  export(spans, done) {
    for (const { name, kind, attributes, status, events, parentSpanContext, spanContext } of spans.map((span) =>
      Object.assign(Object.create(span), { spanContext: span.spanContext() }),
    )) {
      const { traceId, spanId } = spanContext;
      const line = {
        name,
        kind,
        attributes,
        status,
        events,
        trace: traceId,
        id: spanId,
        parent: parentSpanContext?.spanId,
      };
      appendFileSync(process.env.SPANS, `${JSON.stringify(line)}\n`);
    }
    done({ code: 0 });
  },
  shutdown: async () => {},
};
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
