// Programs that prepare the same folder do it one after the other.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "laplace-lock-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tool = pathToFileURL("tools/lock.mjs").href;
/** Runs a program that has `lock`; gives its code and what it said. */
async function program(text: string, ...args: readonly string[]) {
  const source = `import { lock } from "${tool}"; import fs from "node:fs"; ${text}`;
  return ended(spawn(process.execPath, ["--input-type=module", "-e", source, ...args]));
}
async function ended(child: ReturnType<typeof spawn>) {
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    said += text;
  });
  const [code] = await once(child, "close");
  return { code, said, pid: child.pid };
}

/** Writes when it begins and ends what no other may do meanwhile. */
const works = `
  const [path, log] = process.argv.slice(1);
  await lock(path);
  fs.appendFileSync(log, "begins " + process.pid + "\\n");
  await new Promise((resolve) => setTimeout(resolve, 30));
  fs.appendFileSync(log, "ends " + process.pid + "\\n");`;

test("a lock that an ended process left is taken, by one of several at a time", async () => {
  const [path, log] = [join(folder, "lock"), join(folder, "log")];
  const { pid } = await program(`await lock(process.argv[1]); process.kill(process.pid, "SIGKILL");`, path);
  expect(readFileSync(path, "utf8")).toBe(String(pid));
  const all = await Promise.all(Array.from({ length: 6 }, () => program(works, path, log)));
  expect(all.map(({ code }) => code)).toEqual(all.map(() => 0));
  const lines = readFileSync(log, "utf8").trim().split("\n");
  expect(lines).toHaveLength(12);
  for (let i = 0; i < lines.length; i += 2) expect(lines[i + 1]).toBe(lines[i].replace("begins", "ends"));
  expect(readdirSync(folder)).toEqual(["log"]);
});

test("a lock of no process, of a process of this number, and an old one of whatever process are taken", async () => {
  const takes = "const path = process.argv[1]; fs.writeFileSync(path, eval(process.argv[2])); (await lock(path))();";
  for (const text of ['""', '"0"', '"-1"', '"nobody"', "String(process.pid)"]) {
    const { code, said } = await program(takes, join(folder, "left"), text);
    expect({ code, said }, text).toEqual({ code: 0, said: "" });
  }
  const old = `const path = process.argv[1]; fs.writeFileSync(path, "${process.pid}");
    fs.utimesSync(path, 1, 1); (await lock(path))();`;
  expect(await program(old, join(folder, "left"))).toMatchObject({ code: 0 });
});

test("tools/prepare.mjs waits for another one", async () => {
  const [holds, done] = [join(folder, "holds"), join(folder, "done")];
  const holder = program(
    `const release = await lock("build/prepare.lock");
    fs.writeFileSync(process.argv[1], "");
    while (!fs.existsSync(process.argv[2])) await new Promise((resolve) => setTimeout(resolve, 20));
    release();`,
    holds,
    done,
  );
  await expect.poll(() => existsSync(holds), { timeout: 60_000 }).toBe(true);
  const child = spawn(process.execPath, ["tools/prepare.mjs"]);
  const prepare = ended(child);
  await once(child.stderr, "data");
  expect(child.exitCode).toBe(null);
  writeFileSync(done, "");
  const [{ pid, code }, waited] = await Promise.all([holder, prepare]);
  expect([code, waited.code]).toEqual([0, 0]);
  expect(waited.said).toContain(`Waiting for process ${pid}, which prepares`);
}, 300_000);
