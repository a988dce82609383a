// Opens workers and uses them; closes them, or keeps them.
import { connect } from "laplace-ts";
import { ask } from "./ask.js";
export async function open(count, makeWorker) {
  for (let i = 0; i < count; i++) await ask(await connect(makeWorker()));
}
const kept = [];
export async function keep(count, makeWorker) {
  for (let i = 0; i < count; i++) {
    const remote = await connect(makeWorker());
    kept.push(remote);
    await ask({ ...remote, close() {} });
  }
}
