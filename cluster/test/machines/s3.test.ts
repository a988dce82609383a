// A bucket of S3 as a store, by a server for tests.

import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import {
  chain,
  dense,
  laplace,
  type NDArray,
  Random,
  randomNormal,
  savePosterior,
  tanh,
  writeSafetensors,
} from "laplace-ts";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { inStore } from "../../src/data/in-store.ts";
import { sweep } from "../../src/fits/sweep.ts";
import { part, UnfinishedError } from "../../src/parts.ts";
import { openStore } from "../../src/store/open.ts";
import { retrying } from "../../src/store/retrying.ts";
import { s3Store } from "../../src/store/s3.ts";
import { describeStore, listed, reasonOf } from "../store-contract.ts";
import { BUCKET, keys, S3OfTest } from "./s3-server.ts";

let server: S3OfTest;
beforeAll(async () => {
  process.env.AWS_ACCESS_KEY_ID = keys.accessKeyId;
  process.env.AWS_SECRET_ACCESS_KEY = keys.secretAccessKey;
  server = await S3OfTest.start();
});
afterAll(() => server.end());
beforeEach(() => {
  server.heeds = true;
  server.trouble = () => undefined;
});

const place = (prefix: string) => `s3://${BUCKET}/${prefix}?endpoint=${encodeURIComponent(server.endpoint)}`;
const bytes = (...values: number[]) => Uint8Array.from(values);

describeStore(
  "a bucket",
  async () => {
    const store = retrying(s3Store(`s3://${BUCKET}/contract`, { endpoint: server.endpoint }));
    const client = new S3Client({
      endpoint: server.endpoint,
      forcePathStyle: true,
      region: "us-east-1",
      credentials: keys,
    });
    return {
      store,
      async break(name, own) {
        await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: `contract/${name}`, Body: own }));
      },
      end: async () => client.destroy(),
    };
  },
  1100,
);

describe("data in a bucket", () => {
  test("are read in ranges, asked again where an answer is cut, and held against their digests", async () => {
    const client = new S3Client({
      endpoint: server.endpoint,
      forcePathStyle: true,
      region: "us-east-1",
      credentials: keys,
    });
    const put = (Body: Uint8Array) => client.send(new PutObjectCommand({ Bucket: BUCKET, Key: "data/one", Body }));
    const rows = 60_000;
    const [x, y] = [randomNormal([rows, 3], { seed: 1 }), randomNormal([rows, 1], { seed: 2 })];
    const whole = writeSafetensors({ x, y }, {});
    await put(whole);
    const [store, files] = [place("indexes"), [place("data/one")]];
    let asked = 0;
    // Every third answer is cut.
    server.trouble = ({ method }) => (method === "GET" && ++asked % 3 === 0 ? "half" : undefined);
    const data = await inStore({ store, files });
    for (const [first, end] of [
      [0, 1],
      [43_000, 44_000],
      [rows - 2, rows],
    ]) {
      const found = await data.rowsAt(first, end).read();
      expect(Array.from((found.x as NDArray).data)).toEqual(Array.from(x.data.subarray(3 * first, 3 * end)));
      expect(Array.from((found.y as NDArray).data)).toEqual(Array.from(y.data.subarray(first, end)));
    }
    expect(asked).toBeGreaterThan(6);
    server.trouble = () => undefined;
    const other = Uint8Array.from(whole);
    other[1000] ^= 1;
    await put(other);
    expect(await reasonOf(data.rowsAt(0, 100).read())).toBe("altered");
    expect(await reasonOf(inStore({ store, files: [place("data/nothing")] }))).toBe("missing");
    client.destroy();
  });
});

describe("a bucket", () => {
  test("that fails, is cut off, or sends half is asked again: nothing is written twice or half", async () => {
    const store = retrying(s3Store(place("weak")), { wait: 1, times: 60 });
    const random = new Random(7);
    server.trouble = (request) => {
      if (random.uniform() > 1 / 3) return undefined;
      const common = ["slow down", "cut"] as const;
      const reads = [...common, "half"] as const;
      const writes = [...common, "conflict", "unheard"] as const;
      const from = request.method === "GET" ? reads : request.method === "PUT" ? writes : common;
      return from[Math.floor(random.uniform() * from.length)];
    };
    const names = Array.from({ length: 20 }, (_, i) => `a/${String(i).padStart(2, "0")}`);
    for (const [i, name] of names.entries()) {
      await store.putIfAbsent(name, new Uint8Array(1000 + i).fill(i));
      expect(await store.putIfAbsent(name, bytes(255))).toBe(false);
    }
    expect((await listed(store, "a/")).map(({ name }) => name)).toEqual(names);
    for (const [i, name] of names.entries()) {
      expect(await store.get(name)).toEqual(new Uint8Array(1000 + i).fill(i));
      expect(await store.stat(name)).toMatchObject({ size: 1000 + i });
    }
    await store.delete(names[0]);
    expect(await store.get(names[0])).toBeUndefined();
  });

  test("that writes over what is there is refused before anything is written", async () => {
    server.heeds = false;
    const store = s3Store(place("careless"));
    const failed = store.putIfAbsent("a", bytes(1));
    await expect(failed).rejects.toThrow(/writes over an object in spite of If-None-Match/);
    expect(await reasonOf(store.putIfAbsent("a", bytes(1)))).toBe("refused");
    expect(await store.get("a")).toBeUndefined();
  });

  test("is told once to show that it heeds the condition", async () => {
    const store = s3Store(place("asked"));
    await store.putIfAbsent("a", bytes(1));
    const before = server.requests;
    await Promise.all(["b", "c"].map((name) => store.putIfAbsent(name, bytes(1))));
    expect(server.requests - before).toBe(2);
  });

  test("that is not there, or a server that is not, is a named error without keys", async () => {
    const none = s3Store("s3://no-such-bucket", { endpoint: server.endpoint });
    for (const asked of [() => none.putIfAbsent("a", bytes(1)), () => none.get("a")]) {
      const error = await asked().catch((one: unknown) => one);
      expect(error).toMatchObject({ name: "StoreError", reason: "refused" });
      expect((error as Error).message).toMatch(/in s3:\/\/no-such-bucket\?endpoint=.*NoSuchBucket/);
    }
    const nobody = s3Store(`s3://${BUCKET}`, { endpoint: "http://127.0.0.1:1" });
    expect(await reasonOf(nobody.get("a"))).toBe("unreachable");
  });

  test("has objects of others beside its own, which are not listed", async () => {
    const client = new S3Client({
      endpoint: server.endpoint,
      forcePathStyle: true,
      region: "us-east-1",
      credentials: keys,
    });
    for (const Key of ["shared/Foreign File.txt", "shared/.hidden", "sharedother"]) {
      await client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: bytes(1) }));
    }
    client.destroy();
    const store = s3Store(place("shared"));
    await store.putIfAbsent("own", bytes(1));
    expect((await listed(store, "")).map(({ name }) => name)).toEqual(["conditional", "own"]);
  });

  test("has fits in parts, to the bits of one process, which a sweep leaves", async () => {
    const net = chain({ inputs: 30, seed: 1 }, dense(60, tanh), dense(20));
    const data = { x: randomNormal([9000, 30]), y: randomNormal([9000, 20], { seed: 1 }) };
    const approximation = laplace(net, { likelihood: "regression", structure: "kronecker", checks: false });
    const store = place("parts");
    const first = await approximation
      .fit(data, { on: part({ store, part: 1, parts: 2 }) })
      .catch((error: unknown) => error);
    expect(first).toBeInstanceOf(UnfinishedError);
    const there = await approximation.fit(data, { on: part({ store, part: 2, parts: 2 }) });
    expect(Buffer.from(savePosterior(there)).equals(savePosterior(await approximation.fit(data)))).toBe(true);
    expect(await sweep(openStore("test", store), 24 * 3600 * 1000)).toEqual({ fits: 0, objects: 0, bytes: 0 });
  });
});

describe("addresses of buckets", () => {
  test("say the same to workers", () => {
    for (const address of [
      "s3://bucket",
      "s3://bucket/a/b",
      "s3://bucket/a?endpoint=https%3A%2F%2Fs3.example&region=eu-1",
    ]) {
      expect(openStore("test", address).address).toBe(address);
      expect(openStore("test", openStore("test", address).address).address).toBe(address);
    }
    expect(s3Store("s3://bucket/a/", { endpoint: "https://s3.example" }).address).toBe(
      "s3://bucket/a?endpoint=https%3A%2F%2Fs3.example",
    );
  });

  test.each([
    "s3://",
    "s3://B",
    "s3://bucket:9000/a",
    "s3://bucket/../a b",
    "s3://bucket/A",
    "s3://bucket?reigon=a",
    "s3://bucket?endpoint=ftp://a",
    "s3://bucket?endpoint=a",
    "s3://key:s3cret@bucket",
    "s3://bucket?endpoint=https://key:s3cret@host",
    `s3://bucket/${"a".repeat(201)}`,
  ])("such as %s are refused", (address) => {
    expect(() => openStore("test", address)).toThrow(/^test: store must be s3:\/\/bucket\/prefix/);
    expect(() => openStore("test", address)).not.toThrow(/s3cret/);
  });
});
