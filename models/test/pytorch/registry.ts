// Files of packages of the npm registry: networks that nobody of this project made. They are downloaded once into build/, which is
// not committed.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** A package, its version, and what its tarball's SHA-256 begins with. */
export interface Packed {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
}

const cache = "build/models-of-packages";

/**
 * Where a package lies that is installed with what it needs, but without running its scripts, which would download more; because
 * of them this folder does not depend on it. Undefined where there is no network, which is an error in CI.
 */
export function installed({ name, version }: Omit<Packed, "sha256">): string | undefined {
  const folder = resolve(`build/packages/${name}-${version}`);
  const place = join(folder, "node_modules", name);
  if (existsSync(join(folder, "whole"))) return place;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), "{}");
  const args = ["install", `${name}@${version}`, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  try {
    execFileSync("npm", args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  } catch (cause) {
    if (process.env.CI) throw new Error(`${name}@${version} cannot be installed, which CI needs.`, { cause });
    console.warn(`${name}@${version} cannot be installed: is there no network? What needs it is left out.`);
    return undefined;
  }
  writeFileSync(join(folder, "whole"), "");
  return place;
}

/** The folder of a package's files; undefined where there is no network, which is an error in CI. @throws Error for another file */
export function folderOf({ name, version, sha256 }: Packed): string | undefined {
  const folder = join(cache, `${name.replace("/", "-")}-${version}`);
  if (existsSync(folder)) return join(folder, "package");
  const unpacked = `${folder}.${process.pid}`;
  mkdirSync(unpacked, { recursive: true });
  try {
    const args = ["pack", `${name}@${version}`, "--silent", "--ignore-scripts", "--pack-destination", unpacked];
    let tarball: string;
    try {
      tarball = join(
        unpacked,
        execFileSync("npm", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim(),
      );
    } catch (cause) {
      if (process.env.CI) throw new Error(`${name}@${version} cannot be downloaded, which CI needs.`, { cause });
      console.warn(`${name}@${version} cannot be downloaded: is there no network? What needs it is left out.`);
      return undefined;
    }
    const found = createHash("sha256").update(readFileSync(tarball)).digest("hex");
    if (!found.startsWith(sha256)) throw new Error(`${name}@${version} is another file than it was: ${found}.`);
    execFileSync("tar", ["xzf", tarball, "-C", unpacked]);
    rmSync(tarball);
    renameSync(unpacked, folder);
    return join(folder, "package");
  } finally {
    rmSync(unpacked, { recursive: true, force: true });
  }
}
