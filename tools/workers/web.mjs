// In Deno.
import { connect } from "laplace-ts";
import { ask } from "./ask.js";

console.log(await ask(await connect(new Worker(import.meta.resolve("laplace-ts/worker"), { type: "module" }))));
