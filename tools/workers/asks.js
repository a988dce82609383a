// In pages of each kind, which make the worker in their own way.
import { connect } from "laplace-ts";
import { ask } from "./ask.js";

export async function answer(make) {
  try {
    globalThis.answer = await ask(await connect(make()));
  } catch (error) {
    globalThis.answer = String(error);
  }
}
