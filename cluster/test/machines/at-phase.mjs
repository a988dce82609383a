// Imported by a process that sums: it stands still the first time that it comes to a phase of a shard, and says so by a file. Or it
// has a disk that fails a part of its calls. Or it takes more and more memory when it comes to the phase.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const { LAPLACE_PHASE: phase, LAPLACE_MARKER: marker, LAPLACE_FAILS: fails, LAPLACE_HUNGRY: hungry } = process.env;
const kept = [];
const disk = fs.promises;
const { open, link, readFile, stat } = disk;

async function reach(name) {
  if (name !== phase) return;
  try {
    fs.writeFileSync(marker, `${process.pid}`, { flag: "wx" });
  } catch {
    return;
  }
  await new Promise(() => setInterval(() => hungry && kept.push(Buffer.alloc(2 ** 26, 1)), 100));
}

const perhaps = () => {
  if (fails === undefined || Math.random() >= Number(fails)) return;
  throw Object.assign(new Error("EIO: i/o error, as the test wants"), { code: "EIO" });
};

const isResult = (path) => /\/sums\//.test(String(path));

disk.readFile = async (path, ...rest) => {
  perhaps();
  if (/\/content\//.test(String(path))) await reach("reading");
  return readFile(path, ...rest);
};
disk.open = async (path, flags, ...rest) => {
  perhaps();
  if (flags === "wx") await reach("summed");
  const handle = await open(path, flags, ...rest);
  if (flags !== "wx") return handle;
  const sync = handle.sync.bind(handle);
  handle.sync = async () => {
    await reach("written");
    return sync();
  };
  return handle;
};
disk.link = async (from, to) => {
  perhaps();
  const result = await link(from, to);
  if (isResult(to)) await reach(/\/00-/.test(to) ? "linked" : "added");
  perhaps();
  return result;
};
disk.stat = async (path, ...rest) => {
  perhaps();
  return stat(path, ...rest);
};
syncBuiltinESMExports();
