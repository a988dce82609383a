// jax-js on its WebAssembly backend, told by messages what to do.
//
// It gets what it is best at: inputs stay on its device, functions are compiled with `jit` where it allows that, options
// that cost it work are off, and a call is over when `blockUntilReady` says so, without copying the result out. What
// could not be matched: it allocates every result (the one before is freed first, and its memory used again), makes
// whole products where ours and BLAS make a triangle (syrk), and runs on one thread, since Node has no global Worker.

import { readFileSync } from "node:fs";
import type { Job, Numbers } from "../case.ts";
import type { Answer, Command } from "./jax.ts";

/** What is used of its arrays. Every use of an array is its last, unless it is of `ref`. */
interface JaxArray {
  readonly ref: JaxArray;
  add(other: JaxArray): JaxArray;
  sub(other: JaxArray): JaxArray;
  mul(other: JaxArray): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  slice(index: number | readonly number[]): JaxArray;
  data(): Promise<Numbers>;
  dispose(): void;
}
type Work = (...arrays: JaxArray[]) => JaxArray[];

const answer = (message: Answer) => process.send?.(message);

const name: string = "@jax-js/jax"; // not a literal: the types must not need it
const jax = await import(name).catch(() => {
  answer({ error: "it is not installed (npm install --no-save @jax-js/jax)" });
  process.exit();
});
await jax.init("wasm");
jax.defaultDevice("wasm");
const { numpy: np, lax, nn, grad, vmap, jit } = jax;

/** The squared error of the 1-32-1 network at one example, with its parameters in one vector as ours has them. */
function loss(theta: JaxArray, x: JaxArray, y: JaxArray): JaxArray {
  const [w1, b1, w2] = [0, 32, 64].map((start) => theta.ref.slice([start, start + 32]));
  const hidden = nn.sigmoid(w1.mul(x).add(b1));
  return np.square(np.dot(w2, hidden).add(theta.slice(96)).sub(y));
}
const gradients: (theta: JaxArray, x: JaxArray, y: JaxArray) => JaxArray = vmap(grad(loss), [null, 0, 0]);

function outer(g: JaxArray, batch: number, length: number): JaxArray {
  return g.ref.reshape([batch, length, 1]).mul(g.reshape([batch, 1, length]));
}

/** The inputs' shapes and the function; what is compared comes first in its results. */
function plan({ setup, sizes }: Job): { shapes: number[][]; work: Work } {
  const [n, columns, depth] = sizes;
  const matrix = [n, columns];
  switch (setup) {
    case "gemm": {
      const multiply: Work = (a, b) => [np.matmul(a, b)];
      return {
        shapes: [
          [n, depth],
          [depth, columns],
        ],
        work: jit(multiply),
      };
    }
    case "syrk": {
      const square: Work = (a) => [np.matmul(a.ref, np.matrixTranspose(a))];
      return { shapes: [matrix], work: jit(square) };
    }
    case "trsm": {
      // Not under jit, which refuses this function on matrices that it would have to turn first.
      const solve: Work = (a, b) => [lax.linalg.triangularSolve(a, b, { leftSide: true, lower: true })];
      return { shapes: [[n, n], matrix], work: solve };
    }
    case "cholesky": {
      const factor: Work = (a) => [lax.linalg.cholesky(a)];
      return { shapes: [[n, n]], work: jit(factor) };
    }
    case "eigh": {
      const decompose: Work = (a) => lax.linalg.eigh(a, { symmetrizeInput: false }).reverse();
      return { shapes: [[n, n]], work: jit(decompose) };
    }
    case "outer": {
      const square: Work = (g) => [outer(g, n, columns)];
      return { shapes: [matrix], work: jit(square) };
    }
    case "gradients": {
      const each: Work = (theta, x, y) => [gradients(theta, x, y)];
      return { shapes: [[97], [n], [n]], work: jit(each) };
    }
    case "gradients and outer": {
      const both: Work = (theta, x, y) => {
        const g = gradients(theta, x, y);
        return [outer(g.ref, n, 97), g];
      };
      return { shapes: [[97], [n], [n]], work: jit(both) };
    }
  }
}

let work: Work;
let inputs: JaxArray[] = [];
let results: JaxArray[] = [];

function drop(arrays: JaxArray[]): void {
  for (const array of arrays) array.dispose();
}

async function obey(command: Command): Promise<Answer> {
  if (command === "result") {
    return { values: await results[0].ref.data() };
  }
  if ("setup" in command) {
    drop([...inputs.splice(0), ...results.splice(0)]);
    const { shapes, work: planned } = plan(command.setup);
    work = planned;
    const dtype = command.setup.dtype;
    inputs = command.inputs.map((values, i) => np.array(values, { shape: shapes[i], dtype }));
    await jax.blockUntilReady(inputs);
    return {};
  }
  const start = performance.now();
  for (let i = 0; i < command.run; i++) {
    drop(results);
    results = work(...inputs.map((array) => array.ref));
    await jax.blockUntilReady(results);
  }
  return { seconds: (performance.now() - start) / 1000 };
}

process.on("message", async (command: Command) => {
  answer(await obey(command).catch((error: Error) => ({ error: error.message })));
});
const manifest = new URL("../package.json", import.meta.resolve(name));
const { version } = JSON.parse(readFileSync(manifest, "utf8"));
answer({ ready: `jax-js ${version} (wasm, 1 thread, in a process of its own)` });
