import { expect, test } from "vitest";
import { chain, dense, mse, OptionError, progressBar, toyRegression, train } from "../../src/index.ts";

/** What a run of that many epochs writes. */
function written(epochs: number, options: { terminal: boolean; lines?: number }): string[] {
  const texts: string[] = [];
  const report = progressBar({ ...options, write: (text) => texts.push(text) });
  for (let epoch = 1; epoch <= epochs; epoch++) report({ epoch, epochs, loss: 1 / epoch });
  return texts;
}

test("on a terminal, a bar redraws itself and ends its line", () => {
  expect(written(3, { terminal: true })).toEqual([
    `\r${"█".repeat(10)}${"░".repeat(20)} epoch 1/3  loss 1.00000\u001b[K`,
    `\r${"█".repeat(20)}${"░".repeat(10)} epoch 2/3  loss 0.500000\u001b[K`,
    `\r${"█".repeat(30)} epoch 3/3  loss 0.333333\u001b[K\n`,
  ]);
});

test("elsewhere, there are as many lines as asked for, evenly spaced, the last epoch's among them", () => {
  expect(written(10, { terminal: false, lines: 2 })).toEqual([
    "epoch  5/10  loss 0.200000\n",
    "epoch 10/10  loss 0.100000\n",
  ]);
  for (const epochs of [1, 7, 10, 11, 15, 19, 25, 100, 1234]) {
    const lines = written(epochs, { terminal: false });
    expect(lines).toHaveLength(Math.min(10, epochs));
    expect(lines.at(-1)).toContain(`epoch ${epochs}/${epochs}`);
  }
});

test("train reports to it", async () => {
  const texts: string[] = [];
  const net = chain({ inputs: 1 }, dense(1));
  const onProgress = progressBar({ terminal: false, write: (text) => texts.push(text) });
  const { history } = await train(net, toyRegression(), { loss: mse, epochs: 2, onProgress });
  expect(texts).toEqual(history.map(({ epoch, loss }) => `epoch ${epoch}/2  loss ${loss.toPrecision(6)}\n`));
});

test("options are checked", () => {
  expect(() => progressBar({ lines: 0 })).toThrow(OptionError);
  expect(() => progressBar({ lines: 0 })).toThrow(/progressBar: lines must be an integer of at least 1, not 0/);
  expect(() => progressBar({ line: 3 } as never)).toThrow(
    /progressBar: unknown option "line"\. Did you mean "lines"\?/,
  );
});
