import { Worker } from "node:worker_threads";
import { connect } from "laplace-ts";
import { ask } from "./ask.js";

console.log(await ask(await connect(new Worker(new URL(import.meta.resolve("laplace-ts/worker"))))));
