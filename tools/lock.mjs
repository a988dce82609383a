// One process at a time does something, and others that would do it wait: a lock is a file that names its process.
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 50;

/** After so long a lock counts as left, whoever has the number of its process now. */
const LONGEST_MS = 15 * 60_000;

/** What a lock says, the process that it names; undefined where it is gone. */
function heldBy(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whether who made a lock has it no more: numbers of processes come again, this one's own in a container. */
function isLeft(path, text) {
  const pid = Number(text);
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid || !isAlive(pid)) return true;
  const since = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return since !== undefined && Date.now() - since > LONGEST_MS;
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
function removeLeft(path, text, own) {
  const left = `${own}.left`;
  try {
    renameSync(path, left);
  } catch (error) {
    if (error.code === "ENOENT") return;
    throw error;
  }
  // Another process may have removed it meanwhile, and have taken the lock.
  if (heldBy(left) !== text) taken(path, left);
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
      const text = heldBy(path);
      if (text === undefined) continue;
      if (isLeft(path, text)) {
        removeLeft(path, text, own);
        continue;
      }
      if (!waits) onWait(Number(text));
      waits = true;
      await delay(POLL_MS);
    }
  } finally {
    rmSync(own, { force: true });
  }
  const release = () => {
    process.off("exit", release);
    if (heldBy(path) === String(process.pid)) rmSync(path, { force: true });
  };
  process.on("exit", release);
  return release;
}
