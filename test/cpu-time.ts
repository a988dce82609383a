/** Milliseconds that this process has computed so far: a bound on them holds however busy the machine is. */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
