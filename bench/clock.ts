// What is measured: time by the clock, or with LAPLACE_BENCH_CLOCK=processor that of the processor, all threads of a process
// together, which says more on a machine that does other things. PyTorch's process reads the same variable.

/** Whether the processor's time is measured. */
export const ofProcessor = process.env.LAPLACE_BENCH_CLOCK === "processor";

/** Milliseconds since some moment. */
export function now(): number {
  if (!ofProcessor) return performance.now();
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
