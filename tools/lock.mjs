// One process at a time does something, and others that would do it wait: a lock is a file that names its process.
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 50;

/** The process that a file names; undefined where the file is gone. */
function holderOf(path) {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user may not be asked.
    return error.code === "EPERM";
  }
}

/** Makes the file at once with its text, so that nobody reads a lock of no process. */
function taken(path, own) {
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

/** Removes a lock whose process has ended. */
function removeLeft(path, pid, own) {
  const left = `${own}.left`;
  try {
    renameSync(path, left);
  } catch (error) {
    if (error.code === "ENOENT") return;
    throw error;
  }
  // Another process may have removed it meanwhile, and have taken the lock.
  if (holderOf(left) !== pid) taken(path, left);
  rmSync(left, { force: true });
}

/**
 * Takes the lock when no process has it that is alive, and keeps it until this process ends or what is returned is called.
 * @param path of the lock's file @param onWait called once if it has to wait, with the process that has it
 */
export async function lock(path, onWait = () => {}) {
  mkdirSync(dirname(path), { recursive: true });
  const own = `${path}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    for (let waits = false; !taken(path, own); ) {
      const pid = holderOf(path);
      if (pid === undefined) continue;
      if (!isAlive(pid)) {
        removeLeft(path, pid, own);
        continue;
      }
      if (!waits) onWait(pid);
      waits = true;
      await delay(POLL_MS);
    }
  } finally {
    rmSync(own, { force: true });
  }
  const release = () => {
    process.off("exit", release);
    if (holderOf(path) === process.pid) rmSync(path, { force: true });
  };
  process.on("exit", release);
  return release;
}
