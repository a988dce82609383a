// What is measured: time by the clock; with LAPLACE_BENCH_CLOCK=processor that of the processor, all threads of a process together; or
// with =thread that of the calling thread (Node 24), without the collector's and the compiler's, which by the clock run beside it where
// a core is free. On a machine that does other things these say more. PyTorch's process reads the same variable; it has no such threads.

/** What the variable says, if anything. */
const clock = process.env.LAPLACE_BENCH_CLOCK;

/** Milliseconds since some moment. */
export function now(): number {
  if (clock !== "processor" && clock !== "thread") return performance.now();
  const own = process as { threadCpuUsage?: typeof process.cpuUsage };
  const { user, system } = (clock === "thread" && own.threadCpuUsage?.call(process)) || process.cpuUsage();
  return (user + system) / 1000;
}
