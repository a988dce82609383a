import { Worker } from "node:worker_threads";
import { connect } from "laplace-ts";
import { abortAll } from "./aborts.js";

const remote = await connect(new Worker(new URL(import.meta.resolve("laplace-ts/worker"))));
console.log(JSON.stringify(await abortAll(remote, process.argv.slice(2))));
remote.close();
