// The files of examples/cluster: of the kinds that they say, by the schemas of Kubernetes and KEDA; and what they run does what it is to do.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeInputs } from "../inputs.ts";
import { RedisOfTest, until } from "../machines/hosts.ts";

const folder = mkdtempSync(join(tmpdir(), "laplace-manifests-"));
const at = (name: string) => join(folder, name);
const read = (name: string) => readFileSync(`examples/cluster/${name}`, "utf8");
const started: ChildProcess[] = [];

/** Parts of a fit here. */
const PARTS = 3;

type Fields = { [name: string]: unknown };
/** A part of a document, by the names that lead there. */
const inside = (document: unknown, path: string) =>
  path.split(".").reduce((one, name) => (one as Fields)?.[name], document as unknown) as never;

/** The documents of a file. */
let documents: (name: string) => Fields[];
/** The schemas of the kinds that are used. */
let kinds: Readonly<Record<string, new (data: object) => { validate(): void }>>;

beforeAll(async () => {
  // Packages of this folder alone.
  const take = (name: string) => import(/* @vite-ignore */ import.meta.resolve(name)) as Promise<never>;
  const { parseAllDocuments } = (await take("yaml")) as {
    parseAllDocuments(text: string): { toJS(): Fields; errors: unknown[] }[];
  };
  documents = (name) =>
    parseAllDocuments(read(name)).map((one) => {
      expect(one.errors).toEqual([]);
      return one.toJS();
    });
  kinds = {
    ...((await take("kubernetes-models/batch/v1")) as object),
    ...((await take("kubernetes-models/apps/v1")) as object),
    ...((await take("@kubernetes-models/keda/keda.sh/v1alpha1")) as object),
  };
  writeInputs(at("network.onnx"), at("rows.csv"));
  // The commands that the files name, as they are built here.
  mkdirSync(at("bin"));
  const program = `#!/bin/sh\nexec "${process.execPath}" "${resolve("cli/laplace.js")}" "$@"\n`;
  writeFileSync(at("bin/laplace"), program, { mode: 0o755 });
  writeFileSync(at("bin/npx"), '#!/bin/sh\n[ "$1" = laplace ] || exit 9\nshift\nexec laplace "$@"\n', { mode: 0o755 });
  symlinkSync(process.execPath, at("bin/node"));
});
afterAll(() => {
  for (const one of started) one.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

const environment = (own: NodeJS.ProcessEnv) => ({ ...process.env, PATH: `${at("bin")}:${process.env.PATH}`, ...own });

/** What one process makes of the same data. */
function alone(): Buffer {
  const args = [
    "posterior",
    at("network.onnx"),
    at("rows.csv"),
    "--target",
    "y",
    "--no-report",
    "--output",
    at("alone.safetensors"),
  ];
  execFileSync(process.execPath, ["cli/laplace.js", ...args], { stdio: "pipe" });
  return readFileSync(at("alone.safetensors"));
}

const files = [
  ["indexed-job.yaml", ["Job"]],
  ["workers.yaml", ["Deployment", "ScaledObject"]],
] as const;

describe.each(files)("examples/cluster/%s", (name, expected) => {
  test("is of the kinds that it says, by their schemas", () => {
    const all = documents(name);
    expect(all.map(({ kind }) => kind)).toEqual(expected);
    for (const one of all) new kinds[String(one.kind)](one).validate();
    // The schemas are heard: a wrong type, or a field that is missing, is an error.
    for (const one of all) {
      expect(() => new kinds[String(one.kind)]({ ...one, spec: {} }).validate()).toThrow();
      expect(() => new kinds[String(one.kind)]({ ...one, metadata: 1 }).validate()).toThrow();
    }
  });

  test("has no field that its kind does not have", () => {
    // By the types of the same packages, which the schemas are made of: of an object as it is written, other names are errors.
    const modules: Readonly<Record<string, string>> = {
      Job: "kubernetes-models/batch/v1",
      Deployment: "kubernetes-models/apps/v1",
      ScaledObject: "@kubernetes-models/keda/keda.sh/v1alpha1",
    };
    const check = (all: readonly Fields[]) => {
      const text = all.map(
        (one, i) =>
          `import type { I${one.kind} } from "${modules[String(one.kind)]}";\nexport const one${i}: I${one.kind} = ${JSON.stringify(one)};\n`,
      );
      const own = mkdtempSync(resolve("cluster/test/manifests/node_modules/.types-"));
      try {
        writeFileSync(join(own, "manifests.ts"), text.join(""));
        const options = [
          "--ignoreConfig",
          "--strict",
          "--noEmit",
          "--skipLibCheck",
          "--module",
          "nodenext",
          "--target",
          "es2022",
          "--types",
          "",
        ];
        execFileSync(process.execPath, [resolve("node_modules/typescript/bin/tsc"), ...options, "manifests.ts"], {
          cwd: own,
          stdio: "pipe",
        });
        return "";
      } catch (error) {
        return String((error as { readonly stdout?: Buffer }).stdout ?? error);
      } finally {
        rmSync(own, { recursive: true, force: true });
      }
    };
    const all = documents(name);
    expect(check(all)).toBe("");
    expect(check([{ ...all[0], sepc: 1 }])).toMatch(/TS2353.*sepc/);
  });
});

describe("examples/cluster/indexed-job.yaml", () => {
  test("has each of its parts done by its command, and they are the fit", () => {
    const [job] = documents("indexed-job.yaml");
    const { completions, parallelism, completionMode } = job.spec as Readonly<Record<string, number>>;
    expect({ completionMode, parallelism }).toEqual({ completionMode: "Indexed", parallelism: completions });
    // Fewer parts take less time.
    expect(String(inside(job, "spec.template.spec.containers.0.args.0"))).toContain(`/${completions}"`);
    const [container] = inside(job, "spec.template.spec.containers") as Fields[];
    const [shell, ...options] = container.command as string[];
    const [command] = (container.args as string[]).map((text) =>
      text
        .replaceAll("/data/rows.parquet", at("rows.csv"))
        .replaceAll("/data/", `${folder}/`)
        .replaceAll("/shared/", `${folder}/job/`)
        .replace(`/${completions}"`, `/${PARTS}"`),
    );
    const run = (index: number) =>
      execFileSync(shell, [...options, command], {
        cwd: folder,
        env: environment({ JOB_COMPLETION_INDEX: `${index}` }),
        stdio: ["ignore", "pipe", "pipe"],
      });
    for (let index = 0; index < PARTS; index++) run(index);
    // As its comment says: the same, added.
    const merge = command
      .replace("laplace posterior", "laplace merge")
      .replace(/ --shard .*$/, ` -o ${at("job.safetensors")}`);
    execFileSync(shell, [...options, merge], { cwd: folder, env: environment({}), stdio: "pipe" });
    expect(readFileSync(at("job.safetensors")).equals(alone())).toBe(true);
  });
});

describe("examples/cluster/slurm-array.sh", () => {
  const own = () => {
    const text = read("slurm-array.sh")
      .replaceAll("rows.parquet", "rows.csv")
      .replace(/\/16\b/, `/${PARTS}`);
    writeFileSync(at("slurm-array.sh"), text);
    return at("slurm-array.sh");
  };
  const run = (task: number | undefined, ...args: readonly string[]) =>
    execFileSync("bash", [own(), ...args], {
      cwd: folder,
      env: environment({ SCRATCH: at("scratch"), ...(task === undefined ? {} : { SLURM_ARRAY_TASK_ID: `${task}` }) }),
      stdio: ["ignore", "pipe", "pipe"],
    });

  test("is a script whose options sbatch knows", () => {
    execFileSync("bash", ["-n", "examples/cluster/slurm-array.sh"]);
    // https://slurm.schedmd.com/sbatch.html
    const known: Readonly<Record<string, RegExp>> = {
      "job-name": /^\w+$/,
      array: /^\d+-\d+$/,
      "cpus-per-task": /^\d+$/,
      mem: /^\d+[KMGT]$/,
      time: /^\d\d:\d\d:\d\d$/,
    };
    const options = [...read("slurm-array.sh").matchAll(/^#SBATCH --([\w-]+)=(.*)$/gm)];
    expect(options.length).toBe(Object.keys(known).length);
    for (const [, name, value] of options) expect(value).toMatch(known[name]);
    // They are read as far as the first command.
    expect(read("slurm-array.sh")).toMatch(/^#!\/bin\/bash\n(?:#.*\n)+set -euo pipefail\n/);
    expect(read("slurm-array.sh").match(/#SBATCH/g)?.length).toBe(options.length);
  });

  test("does its parts, and adds them", () => {
    const [, first, last] = /--array=(\d+)-(\d+)/.exec(read("slurm-array.sh"))?.map(Number) ?? [];
    expect(first).toBe(1);
    expect(read("slurm-array.sh")).toContain(`/${last}"`);
    expect(() => run(undefined)).toThrow(/SLURM_ARRAY_TASK_ID: unbound variable/);
    expect(() => run(undefined, "merge")).toThrow(/are not done|is not in the store/);
    for (let task = first; task <= PARTS; task++) run(task);
    // The job that adds is an array too: one of its tasks does.
    run(2, "merge");
    expect(readdirSync(folder)).not.toContain("posterior.safetensors");
    run(1, "merge");
    expect(readFileSync(at("posterior.safetensors")).equals(alone())).toBe(true);
  });
});

describe("examples/cluster/workers.yaml", () => {
  test("runs a worker that listens, says its metrics, and ends when it is told; the autoscaler counts its lists", async () => {
    const redis = await RedisOfTest.start();
    try {
      const [deployment, scaled] = documents("workers.yaml");
      const pod = inside(deployment, "spec.template.spec") as Fields;
      const [container] = pod.containers as Fields[];
      const [shell, ...options] = container.command as string[];
      const store = at("workers");
      const [command] = (container.args as string[]).map((text) =>
        text.replaceAll("/shared/", `${store}/`).replace("9464", "127.0.0.1:0"),
      );
      expect(command).toContain("127.0.0.1:0");
      const grace = Number(/--grace (\d+)/.exec(command)?.[1]);
      expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(grace);
      const names = (container.env as Fields[]).map(({ name }) => name);
      // Who asks, while nobody listens: jobs wait.
      const asks = spawn(
        process.execPath,
        [resolve("cluster/test/machines/asks.mjs"), redis.address, `${store}/fits`],
        {
          stdio: ["ignore", "ignore", "inherit"],
        },
      );
      started.push(asks);
      const asked = once(asks, "exit");
      const lists = (inside(scaled, "spec.triggers") as Fields[]).map(({ type, metadata }) => {
        expect(type).toBe("redis");
        return metadata as Readonly<Record<string, string>>;
      });
      // https://keda.sh/docs/latest/scalers/redis-lists/
      const known = [
        "address",
        "addressFromEnv",
        "listName",
        "listLength",
        "activationListLength",
        "enableTLS",
        "databaseIndex",
        "passwordFromEnv",
        "usernameFromEnv",
      ];
      for (const one of lists) {
        expect(Object.keys(one).filter((name) => !known.includes(name))).toEqual([]);
        for (const [name, value] of Object.entries(one)) {
          expect(typeof value).toBe("string");
          if (name.endsWith("FromEnv")) expect(names).toContain(value);
        }
      }
      const now = async (): Promise<{
        readonly list: string;
        readonly fits: readonly { readonly waiting: number }[];
      }> => {
        const out = execFileSync(process.execPath, [
          "cli/laplace.js",
          "jobs",
          "--queue",
          redis.address,
          "--store",
          `${store}/fits`,
          "--json",
        ]);
        return JSON.parse(out.toString());
      };
      await until("jobs wait", async () => (await now()).fits.some(({ waiting }) => waiting > 0));
      const { list, fits } = await now();
      expect(redis.cli("type", list).trim()).toBe("list");
      expect(Number(redis.cli("llen", list))).toBe(fits[0].waiting);
      // The names in the file are those of another store and machine.
      const shape = (name: string) => name.replace(/-[a-z]+-[0-9a-f]{12}-[0-9a-f]{12}:/, "-x:");
      expect(lists.map(({ listName }) => shape(listName))).toEqual([
        shape(list),
        shape(list).replace(":wait", ":active"),
      ]);

      const env = environment({ QUEUE: redis.address });
      const worker = spawn(shell, [...options, command], { env, stdio: ["ignore", "pipe", "inherit"] });
      started.push(worker);
      let said = "";
      worker.stdout.setEncoding("utf8").on("data", (text) => (said += text));
      await until("jobs are done", () => /"event":"done"/.test(said));
      await until(
        "jobs are in the other list",
        () => redis.cli("type", list.replace(":wait", ":active")).trim() !== "none" || asks.exitCode !== null,
      );
      expect((await asked)[0]).toBe(0);
      const address = /"event":"metrics","reason":"([^"]+)"/.exec(said)?.[1] ?? said;
      expect(await (await fetch(address)).text()).toMatch(/^laplace_worker_shards_total [1-9]/m);
      worker.kill("SIGTERM");
      expect(await once(worker, "exit")).toEqual([0, null]);
    } finally {
      await redis.end();
    }
  });
});
