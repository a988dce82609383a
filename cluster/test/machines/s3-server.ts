// A server of S3 for tests: s3rver, behind a handler that gives it what it lacks, conditional puts and listings in order and over
// pages, and what tests need: answers that fail, and counts.

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

// s3rver is installed in a folder of its own, by npm run test:cluster: nobody else needs it.
const S3rver = createRequire(new URL("s3/package.json", import.meta.url))("@20minutes/s3rver") as new (
  options: object,
) => {
  configureBuckets(): Promise<unknown>;
  callback(): RequestListener;
};

export const BUCKET = "fits";
/** Keys that s3rver knows. */
export const keys = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" };

/** What the handler does with a request that it does not hand on. */
export type Trouble = "slow down" | "cut" | "half" | "conflict" | "unheard";

export class S3OfTest {
  /** What was written and not removed, by its path. */
  readonly #there = new Map<string, { readonly size: number; readonly written: string }>();
  /** The last writer of each key: a condition is looked at when those before are done. */
  readonly #turns = new Map<string, Promise<void>>();
  readonly #folder: string;
  readonly #server: Server;
  #port = 0;
  requests = 0;
  /** Whether the condition is heeded. */
  heeds = true;
  /** Asked for each request: what goes wrong with it, if anything. */
  trouble: (request: IncomingMessage) => Trouble | undefined = () => undefined;

  private constructor(folder: string, bucket: RequestListener) {
    this.#folder = folder;
    this.#server = createServer((request, response) => {
      this.#answer(bucket, request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  /** @param host the address that it listens at, of this machine alone if none is given */
  static async start(host = "127.0.0.1", port = 0): Promise<S3OfTest> {
    const folder = mkdtempSync(join(tmpdir(), "laplace-s3-"));
    const rver = new S3rver({
      directory: folder,
      silent: true,
      allowMismatchedSignatures: true,
      configureBuckets: [{ name: BUCKET }],
    });
    await rver.configureBuckets();
    const own = new S3OfTest(folder, rver.callback());
    // A connection that nobody uses for a while is not cut in the moment that it is used.
    own.#server.keepAliveTimeout = 600_000;
    own.#server.listen(port, host);
    await once(own.#server, "listening");
    own.#port = (own.#server.address() as { readonly port: number }).port;
    return own;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async #answer(bucket: RequestListener, request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests++;
    const trouble = this.trouble(request);
    if (trouble === "cut") return void request.destroy();
    if (trouble === "slow down") return refuse(response, 503, "SlowDown");
    if (trouble === "conflict") return refuse(response, 409, "ConditionalRequestConflict");
    if (trouble === "half") {
      // The head of an answer, and a part of what it promises.
      response.writeHead(200, { "content-length": "1000" });
      response.write("half");
      return void setTimeout(() => response.destroy(), 20);
    }
    const url = new URL(request.url ?? "", this.endpoint);
    const key = url.pathname;
    if (url.searchParams.has("list-type") && key.replace(/\/$/, "") === `/${BUCKET}`) {
      return this.#list(url.searchParams, response);
    }
    if (request.method !== "PUT" && request.method !== "DELETE") return bucket(request, response);
    // What changes an object waits for what changed it before.
    const before = this.#turns.get(key) ?? Promise.resolve();
    const turn = before.then(async () => {
      if (this.heeds && request.headers["if-none-match"] === "*" && this.#there.has(key)) {
        request.resume();
        return refuse(response, 412, "PreconditionFailed");
      }
      // What is done, and nobody hears of, ends as a connection that is cut.
      if (trouble === "unheard") response.end = () => response.destroy();
      const done = once(response, "close");
      bucket(request, response);
      await done;
      if (response.statusCode >= 300) return;
      if (request.method === "PUT") {
        this.#there.set(key, {
          size: Number(request.headers["content-length"]),
          written: new Date().toISOString(),
        });
      } else this.#there.delete(key);
    });
    this.#turns.set(
      key,
      turn.catch(() => {}),
    );
    await turn;
  }

  /** Pages of up to 1,000 keys, in the order of their bytes, as S3 has them. A token is the last key before. */
  #list(query: URLSearchParams, response: ServerResponse): void {
    const start = `/${BUCKET}/`;
    const after = Buffer.from(query.get("continuation-token") ?? "", "base64").toString();
    const all = [...this.#there]
      .map(([path, one]) => ({ key: decodeURIComponent(path.slice(start.length)), ...one }))
      .filter(({ key }) => key > after && key.startsWith(query.get("prefix") ?? ""))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    const page = all.slice(0, 1000);
    const more = all.length > page.length;
    const token = more ? Buffer.from(page[page.length - 1].key).toString("base64") : "";
    const contents = page.map(
      ({ key, size, written }) =>
        `<Contents><Key>${key}</Key><LastModified>${written}</LastModified><Size>${size}</Size></Contents>`,
    );
    response.writeHead(200, { "content-type": "application/xml" });
    response.end(
      `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>${more}</IsTruncated>${
        more ? `<NextContinuationToken>${token}</NextContinuationToken>` : ""
      }${contents.join("")}</ListBucketResult>`,
    );
  }

  async end(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { "content-type": "application/xml" });
  response.end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`);
}
