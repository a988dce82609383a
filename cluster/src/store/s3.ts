// A bucket of S3, or of a store that talks as it does, as a store. An object is written by one conditional put, which the server
// refuses where one of that name is: so it is whole, and written once. The client is loaded when the store is first used.

import { OptionError, ValueError } from "laplace-ts";
import { StoreError, type StoreProblem } from "../errors.ts";
import { checkName, checkPrefix, type Store, type StoredObject } from "./store.ts";

/** Options of `s3Store`. Credentials are found as the client finds them: in the environment, in profiles, by the machine's role. */
export interface S3Options {
  /** The server's address, such as https://s3.example:9000 (default: Amazon's, or that of AWS_ENDPOINT_URL_S3). */
  readonly endpoint?: string | undefined;
  /** Default: that of the environment or of the profile. */
  readonly region?: string | undefined;
}

type Client = import("@aws-sdk/client-s3").S3Client;
type Commands = typeof import("@aws-sdk/client-s3");

/** Where a bucket is, and under which prefix its objects are. */
interface Place {
  readonly bucket: string;
  /** Empty, or with "/" at its end. */
  readonly prefix: string;
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly address: string;
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** S3 takes keys of 1024 bytes, and names have up to 800. */
const LONGEST_PREFIX = 200;

/** @throws OptionError for what is not an address of a bucket; passwords are not repeated */
function placeOf(where: string, address: string, options: S3Options): Place {
  const bad = (what: string) =>
    new OptionError(
      `${where}: store must be s3://bucket/prefix, with ?endpoint= and &region= where they are not Amazon's: ${what}.`,
    );
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw bad("this is not an address");
  }
  if (url.username !== "" || url.password !== "") {
    throw bad("keys do not stand in an address; the client finds them in the environment, such as AWS_ACCESS_KEY_ID");
  }
  const bucket = url.hostname;
  if (url.protocol !== "s3:" || !BUCKET.test(bucket)) throw bad("a bucket's name is small letters, digits, . and -");
  if (url.port !== "" || url.hash !== "") throw bad("there is a port or a # in it");
  const unknown = [...url.searchParams.keys()].find((name) => name !== "endpoint" && name !== "region");
  if (unknown !== undefined) throw bad(`there is no ${JSON.stringify(unknown)}`);
  const path = url.pathname.replace(/^\/|\/$/g, "");
  try {
    checkPrefix(path);
  } catch (error) {
    throw error instanceof ValueError
      ? bad("its prefix is words of small letters and digits with / between them")
      : error;
  }
  if (path.length > LONGEST_PREFIX) throw bad(`its prefix has more than ${LONGEST_PREFIX} letters`);
  const endpoint = options.endpoint ?? url.searchParams.get("endpoint") ?? undefined;
  const region = options.region ?? url.searchParams.get("region") ?? undefined;
  if (endpoint !== undefined) checkEndpoint(bad, endpoint);
  const query = new URLSearchParams();
  if (endpoint !== undefined) query.set("endpoint", endpoint);
  if (region !== undefined) query.set("region", region);
  const full = `s3://${bucket}${path === "" ? "" : `/${path}`}${query.size === 0 ? "" : `?${query}`}`;
  return { bucket, prefix: path === "" ? "" : `${path}/`, endpoint, region, address: full };
}

function checkEndpoint(bad: (what: string) => OptionError, endpoint: string): void {
  let url: URL;
  try {
    url = new URL(endpoint);
  } catch {
    throw bad("its endpoint is not an address such as https://s3.example:9000");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") throw bad("its endpoint is not http: or https:");
  if (url.username !== "" || url.password !== "") throw bad("keys do not stand in its endpoint");
}

/** What an error of the client has, of what is looked at. */
interface Failure {
  readonly name?: string;
  readonly message?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const statusOf = (error: unknown) => (error as Failure).$metadata?.httpStatusCode;
const networkCodes =
  /^(?:E(?:CONNREFUSED|CONNRESET|CONNABORTED|HOSTUNREACH|NETUNREACH|TIMEDOUT|PIPE|AI_AGAIN)|ETIMEDOUT|ERR_STREAM_PREMATURE_CLOSE)$/;
const passing = new Set([
  "TimeoutError",
  "RequestTimeout",
  "SlowDown",
  "ConditionalRequestConflict",
  "OperationAborted",
]);
const full = new Set(["QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage"]);

function problemOf(error: unknown): StoreProblem {
  const { name = "", code = "" } = error as Failure;
  const status = statusOf(error);
  if (full.has(name) || status === 507) return "full";
  if (passing.has(name) || networkCodes.test(code) || code === "ENOTFOUND") return "unreachable";
  if (status === undefined) return "refused";
  return status !== 501 && (status >= 500 || status === 408 || status === 409 || status === 429)
    ? "unreachable"
    : "refused";
}

/** What an error of the client is, for people and for programs. The client's own has headers, which may tell who asks. */
function failure(what: string, name: string, { address }: Place, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { name: kind = "Error", message = String(error) } = error as Failure;
  const said = message === "" || message === kind ? kind : `${kind}: ${message}`;
  return new StoreError(problemOf(error), `The store could not ${what} ${name} in ${address}: ${said}`);
}

/** Whether an error says that there is nothing of that name, in a bucket that is there. */
const isNothing = (error: unknown) => statusOf(error) === 404 && (error as Failure).name !== "NoSuchBucket";

/** The object by which a store shows that it heeds the condition. */
const PROOF = "conditional";

// Not named Bucket: TypeScript 7.0 writes that name into the key of `{ Bucket: … }` as well when it has another word for the class.
class BucketStore implements Store {
  readonly address: string;
  readonly #place: Place;
  #client: Promise<readonly [Client, Commands]> | undefined;
  #proved: Promise<void> | undefined;

  constructor(place: Place) {
    this.#place = place;
    this.address = place.address;
  }

  async putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
    checkName(name);
    try {
      this.#proved ??= this.#prove();
      await this.#proved;
    } catch (error) {
      this.#proved = undefined;
      throw failure("write", name, this.#place, error);
    }
    return this.#put(name, bytes);
  }

  async #put(name: string, bytes: Uint8Array): Promise<boolean> {
    try {
      const [client, { PutObjectCommand }] = await this.#connect();
      await client.send(new PutObjectCommand({ ...this.#key(name), Body: bytes, IfNoneMatch: "*" }));
      return true;
    } catch (error) {
      if (statusOf(error) === 412) return false;
      throw failure("write", name, this.#place, error);
    }
  }

  /** A server that does not know the condition may write all the same, and a later result would take the place of an earlier one. */
  async #prove(): Promise<void> {
    if (!(await this.#put(PROOF, Uint8Array.of(1))) || !(await this.#put(PROOF, Uint8Array.of(2)))) return;
    throw new StoreError(
      "refused",
      `The store ${this.address} writes over an object in spite of If-None-Match: *, by which it is written once. See the documentation for stores that heed it.`,
    );
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    checkName(name);
    try {
      const [client, { GetObjectCommand }] = await this.#connect();
      const { Body, ContentLength } = await client.send(new GetObjectCommand(this.#key(name)));
      const bytes = (await Body?.transformToByteArray()) ?? new Uint8Array(0);
      if (ContentLength !== undefined && ContentLength !== bytes.length) {
        throw new StoreError(
          "unreachable",
          `The store ${this.address} sent ${bytes.length} of ${ContentLength} bytes of ${name}.`,
        );
      }
      return bytes;
    } catch (error) {
      if (isNothing(error)) return undefined;
      throw failure("read", name, this.#place, error);
    }
  }

  async stat(name: string): Promise<StoredObject | undefined> {
    checkName(name);
    try {
      const [client, { HeadObjectCommand }] = await this.#connect();
      const { ContentLength: size = 0, LastModified } = await client.send(new HeadObjectCommand(this.#key(name)));
      return { name, size, age: ageOf(LastModified) };
    } catch (error) {
      if (isNothing(error)) return undefined;
      throw failure("look at", name, this.#place, error);
    }
  }

  async *list(prefix: string): AsyncGenerator<readonly StoredObject[]> {
    checkPrefix(prefix);
    const { bucket: Bucket, prefix: before } = this.#place;
    let ContinuationToken: string | undefined;
    do {
      const page: StoredObject[] = [];
      try {
        const [client, { ListObjectsV2Command }] = await this.#connect();
        const command = new ListObjectsV2Command({ Bucket, Prefix: before + prefix, ContinuationToken });
        const { Contents = [], NextContinuationToken, IsTruncated } = await client.send(command);
        ContinuationToken = IsTruncated === true ? NextContinuationToken : undefined;
        for (const { Key = "", Size = 0, LastModified } of Contents) {
          const name = Key.slice(before.length);
          if (isName(name)) page.push({ name, size: Size, age: ageOf(LastModified) });
        }
      } catch (error) {
        throw failure("list", prefix, this.#place, error);
      }
      if (page.length > 0) yield page;
    } while (ContinuationToken !== undefined);
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    try {
      const [client, { DeleteObjectCommand }] = await this.#connect();
      await client.send(new DeleteObjectCommand(this.#key(name)));
    } catch (error) {
      if (!isNothing(error)) throw failure("remove", name, this.#place, error);
    }
  }

  /** Nothing: a put is whole or not there. */
  async tidy(): Promise<void> {}

  #key(name: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#place.bucket, Key: this.#place.prefix + name };
  }

  #connect(): Promise<readonly [Client, Commands]> {
    this.#client ??= connect(this.#place);
    return this.#client;
  }
}

const ageOf = (written: Date | undefined) => (written === undefined ? 0 : Date.now() - written.getTime());

/** Whether a key is one that a store writes: others may be in the bucket. */
function isName(name: string): boolean {
  try {
    checkName(name);
    return true;
  } catch {
    return false;
  }
}

async function connect({ endpoint, region, address }: Place): Promise<readonly [Client, Commands]> {
  let commands: Commands;
  try {
    commands = await import("@aws-sdk/client-s3");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new StoreError(
      "refused",
      `The store ${address} needs the package @aws-sdk/client-s3 beside laplace-ts-cluster: npm install @aws-sdk/client-s3.`,
    );
  }
  const client = new commands.S3Client({
    // Servers of one's own have a region's name for signatures only, and buckets in the path.
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true, region: region ?? "us-east-1" }),
    ...(region === undefined ? {} : { region }),
    // `retrying` asks again. Objects have digests of their own; the client's are unknown to many servers.
    maxAttempts: 1,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: { connectionTimeout: 10_000, requestTimeout: 120_000 },
  });
  return [client, commands];
}

/** An object of a bucket that somebody else wrote, read in ranges. */
export interface BucketObject {
  readonly address: string;
  /** Its size, and a word that changes when it is written anew; undefined where there is none. @throws StoreError */
  look(): Promise<{ readonly size: number; readonly version: string } | undefined>;
  /** Bytes from one to before another, fewer at its end; undefined where there is none. @throws StoreError */
  read(first: number, end: number): Promise<Uint8Array | undefined>;
}

/** The object at s3://bucket/key, with ?endpoint= and &region= as a bucket's. @throws OptionError */
export function openBucketObject(where: string, address: string): BucketObject {
  const place = placeOf(where, address, {});
  const name = place.prefix.replace(/\/$/, "");
  const [Bucket, Key] = [place.bucket, name];
  let client: ReturnType<typeof connect> | undefined;
  const asked = async <T>(what: string, ask: (own: Client, commands: Commands) => Promise<T>) => {
    client ??= connect(place);
    try {
      return await ask(...(await client));
    } catch (error) {
      if (isNothing(error)) return undefined;
      throw failure(what, name, place, error);
    }
  };
  return {
    address: place.address,
    look: () =>
      asked("look at", async (own, { HeadObjectCommand }) => {
        const { ContentLength: size = 0, ETag = "" } = await own.send(new HeadObjectCommand({ Bucket, Key }));
        return { size, version: ETag.replace(/[^\w-]/g, "") };
      }),
    read: (first, end) =>
      asked("read", async (own, { GetObjectCommand }) => {
        const Range = `bytes=${first}-${end - 1}`;
        const { Body, ContentLength } = await own.send(new GetObjectCommand({ Bucket, Key, Range }));
        const bytes = (await Body?.transformToByteArray()) ?? new Uint8Array(0);
        if (ContentLength === undefined || ContentLength === bytes.length) return bytes;
        throw new StoreError(
          "unreachable",
          `The store ${place.address} sent ${bytes.length} of ${ContentLength} bytes.`,
        );
      }),
  };
}

/**
 * A bucket of S3, or of a store that talks as it does and heeds `If-None-Match: *` (it is asked once), as a store. Needs the
 * package @aws-sdk/client-s3.
 * @param address s3://bucket/prefix, with ?endpoint=https://…&region=… where they are not Amazon's
 * @throws OptionError for another address
 */
export function s3Store(address: string, options: S3Options = {}): Store {
  return openBucket("s3Store", address, options);
}

/** `s3Store`, for who was asked. @throws OptionError */
export function openBucket(where: string, address: string, options: S3Options = {}): Store {
  return new BucketStore(placeOf(where, address, options));
}
