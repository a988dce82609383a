// A table larger than memory through `laplace predict`: writes a CSV of that size into its standard input as it reads it,
// and fails where the peak of its resident memory exceeds the limit.
//
//   node tools/stream-test.mjs [gigabytes = 2] [limit in megabytes = 300 and 50 for each further core, of 8]
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const gigabytes = Number(process.argv[2] ?? 2);
const limit = Number(process.argv[3] ?? 250 + 50 * Math.min(8, availableParallelism()));
const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const laplace = join(root, "cli/laplace.js");
const folder = mkdtempSync(join(tmpdir(), "laplace-stream-"));

try {
  const model = join(folder, "model.safetensors");
  const table = join(root, "examples/data/diabetes.csv");
  const fit = spawnSync(process.execPath, [laplace, "fit", table, "-t", "progression", "-o", model, "--no-report"]);
  if (fit.status !== 0) throw new Error(`fit ended with ${fit.status}: ${fit.stderr}`);

  // Real rows with a long comment each: the size is in the texts, as in real exports, and quotes hold delimiters and lines.
  const [header, ...rows] = readFileSync(table, "utf8").trim().split("\n");
  const comment = `"${'A long comment, with ""quotes"", commas,\nand lines. '.repeat(32)}"`;
  const block = rows.map((row) => `${row},${comment}\n`).join("");
  const blocks = Math.ceil((gigabytes * 1e9) / Buffer.byteLength(block));

  const child = spawn(process.execPath, [laplace, "predict", model, "-"], { stdio: ["pipe", "pipe", "inherit"] });
  let lines = 0;
  child.stdout.on("data", (chunk) => {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++;
  });
  let peak = 0;
  const look = () => {
    try {
      const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"));
      if (found) peak = Math.max(peak, Number(found[1]) / 1000);
    } catch {
      // It has ended.
    }
  };
  const timer = setInterval(look, 50);
  const ended = once(child, "exit");
  const start = performance.now();
  child.stdin.write(`${header},comment\n`);
  for (let i = 0; i < blocks; i++) if (!child.stdin.write(block)) await once(child.stdin, "drain");
  look();
  child.stdin.end();
  const [code] = await ended;
  clearInterval(timer);
  if (child.stdout.readable) await once(child.stdout, "end");

  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  const size = ((blocks * Buffer.byteLength(block)) / 1e9).toFixed(2);
  console.log(`${size} GB, ${blocks * rows.length} rows in ${seconds} s, peak ${peak.toFixed(0)} MB of ${limit} MB.`);
  // A row is as many lines as its comment, and one.
  const due = 1 + blocks * rows.length * (1 + 32);
  if (code !== 0) throw new Error(`predict ended with ${code}.`);
  if (lines !== due) throw new Error(`${lines} lines came out, ${due} are due.`);
  if (peak === 0) throw new Error("the memory could not be measured: /proc is needed.");
  if (peak > limit) throw new Error(`the peak of ${peak.toFixed(0)} MB exceeds ${limit} MB.`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
