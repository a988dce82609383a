import { Worker } from "node:worker_threads";
import { connect } from "laplace-ts";
import { hashesOf, run } from "./phases.js";

const remote = await connect(new Worker(new URL(import.meta.resolve("laplace-ts/worker"))));
console.log(JSON.stringify(hashesOf(await run(remote))));
remote.close();
