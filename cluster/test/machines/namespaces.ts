// Hosts on one machine: network namespaces of Linux, each with an address of its own, on a switch that can cut one off.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";

const ip = (...args: readonly string[]) => execFileSync("ip", args, { stdio: "pipe" });

/** Why there are no namespaces on this machine; undefined where there are. */
export function whyNoNamespaces(): string | undefined {
  const name = `lt${process.pid}-try`;
  try {
    ip("netns", "add", name);
    ip("-n", name, "link", "add", "e0", "type", "veth", "peer", "name", "e1");
    ip("-n", name, "link", "add", "switch", "type", "bridge");
    ip("netns", "exec", name, "true");
    return undefined;
  } catch (error) {
    return `Network namespaces need root, iproute2 and Linux: ${(error as Error).message.trim().split("\n").at(-1)}`;
  } finally {
    try {
      ip("netns", "del", name);
    } catch {
      // There is none.
    }
  }
}

/** A host of a network. */
export interface Host {
  readonly address: string;
  /** What stands before a command so that it runs there. */
  readonly before: readonly string[];
  /** Pulls its cable, or puts it back. */
  connect(up: boolean): void;
}

/** Hosts at one switch. */
export class NetworkOfTest {
  readonly #switch = `lt${process.pid}-switch`;
  readonly #names: string[] = [];
  readonly #processes: ChildProcess[] = [];

  constructor() {
    this.#add(this.#switch);
    ip("-n", this.#switch, "link", "add", "switch", "type", "bridge");
    ip("-n", this.#switch, "link", "set", "switch", "up");
  }

  #add(name: string): void {
    ip("netns", "add", name);
    this.#names.push(name);
    ip("-n", name, "link", "set", "lo", "up");
  }

  host(name: string): Host {
    const [own, port] = [`lt${process.pid}-${name}`, `p${this.#names.length}`];
    const address = `10.213.7.${this.#names.length}`;
    this.#add(own);
    ip("-n", this.#switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", own);
    ip("-n", this.#switch, "link", "set", port, "master", "switch");
    ip("-n", this.#switch, "link", "set", port, "up");
    ip("-n", own, "address", "add", `${address}/24`, "dev", "eth0");
    ip("-n", own, "link", "set", "eth0", "up");
    return {
      address,
      before: ["ip", "netns", "exec", own],
      connect: (up) => {
        ip("-n", this.#switch, "link", "set", port, up ? "up" : "down");
      },
    };
  }

  /** Starts a command on a host, which ends with the network. */
  start(host: Host, command: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const [program, ...args] = [...host.before, ...command];
    const started = spawn(program, args, {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...env },
    });
    this.#processes.push(started);
    return started;
  }

  async end(): Promise<void> {
    for (const one of this.#processes) {
      if (one.exitCode !== null || one.signalCode !== null) continue;
      const ended = once(one, "exit");
      one.kill("SIGKILL");
      await ended;
    }
    for (const name of this.#names) ip("netns", "del", name);
  }
}
