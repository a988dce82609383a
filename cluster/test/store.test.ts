// The folder as a store.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { folderStore } from "../src/store/folder.ts";
import { openStore } from "../src/store/open.ts";
import { describeStore, listed, reasonOf } from "./store-contract.ts";

const folders: string[] = [];
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "laplace-store-"));
  folders.push(folder);
  return folder;
}
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describeStore(
  "a folder",
  async () => {
    const folder = newFolder();
    return {
      store: folderStore(folder),
      async break(name, bytes) {
        const other = join(folder, ".broken");
        await writeFile(other, bytes);
        await rename(other, join(folder, name));
      },
      end: async () => {},
    };
  },
  1100,
);

describe("a folder", () => {
  test("what a writer left that did not end is not listed, and removed when it is old", async () => {
    const folder = newFolder();
    const store = folderStore(folder);
    await store.putIfAbsent("a", Uint8Array.of(1));
    const [young, old] = ["young", "old"].map((name) => join(folder, ".incoming", name));
    for (const path of [young, old]) writeFileSync(path, "half");
    utimesSync(old, new Date(0), new Date(0));
    expect((await listed(store, "")).map(({ name }) => name)).toEqual(["a"]);
    await store.tidy(60_000);
    expect(readdirSync(join(folder, ".incoming"))).toEqual(["young"]);
    expect(existsSync(join(folder, "a"))).toBe(true);
  });

  test("a disk that is full is a named error, and nothing half written stays", async ({ skip }) => {
    const folder = newFolder();
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], { stdio: "ignore" });
    } catch {
      skip("no right to mount a small disk");
    }
    try {
      const store = folderStore(folder);
      expect(await store.putIfAbsent("small", new Uint8Array(1000))).toBe(true);
      expect(await reasonOf(store.putIfAbsent("large", new Uint8Array(1_000_000)))).toBe("full");
      expect((await listed(store, "")).map(({ name }) => name)).toEqual(["small"]);
      expect(readdirSync(join(folder, ".incoming"))).toEqual([]);
      expect(await store.putIfAbsent("later", new Uint8Array(1000))).toBe(true);
    } finally {
      execFileSync("umount", [folder]);
    }
  });

  test("a folder that cannot be one is a named error", async () => {
    const folder = newFolder();
    writeFileSync(join(folder, "file"), "");
    const store = folderStore(join(folder, "file"));
    expect(await reasonOf(store.putIfAbsent("a", Uint8Array.of(1)))).toBe("refused");
    expect(await store.get("a")).toBeUndefined();
  });

  test("is found by its path or its address; another kind of address is an error", async () => {
    const folder = newFolder();
    mkdirSync(join(folder, "a b"));
    expect(openStore("test", folder).address).toBe(folder);
    expect(openStore("test", `file://${folder}/a%20b`).address).toBe(join(folder, "a b"));
    for (const address of ["ftp://host/a", "file://host/a", ""]) {
      expect(() => openStore("test", address)).toThrow(/^test: store must be a folder/);
    }
  });
});
