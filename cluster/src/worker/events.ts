// What a worker says of itself.

/** Something that happened on a worker. */
export interface WorkerEvent {
  readonly event:
    | "ready"
    | "metrics"
    | "begun"
    | "done"
    | "failed"
    | "given back"
    | "cancelled"
    | "lost"
    | "queue"
    | "stopped";
  readonly worker: string;
  readonly fit?: string;
  /** 2^level shards, the first of which is place · 2^level. */
  readonly level?: number;
  readonly place?: number;
  /** Of a shard that is done. */
  readonly milliseconds?: number;
  readonly examples?: number;
  /** Which try it is, from 1. */
  readonly attempt?: number;
  /** The shard's span, as W3C's `traceparent` has it, where OpenTelemetry hears of it. */
  readonly trace?: string;
  /** Why, without passwords. */
  readonly reason?: string;
}
