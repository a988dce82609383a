// Stops each phase in its midst. A call that is answered before the phase is shows that messages are heard there; and since the
// signal is looked at in every turn, few are answered between the abort and its end.
import { mse } from "laplace-ts";
import { data, net, x } from "./phases.js";
export async function abortAll(remote, names) {
  const there = await remote.send(net);
  const of = remote.laplace(there, { likelihood: "regression", structure: "full", checks: false });
  const tuned = await (await of.fit(data)).optimizePrior();
  let fresh;
  const phases = {
    train: (options) => remote.train(there, data, { loss: mse, epochs: 1e6, ...options }),
    fit: (options) => of.fit(data, options),
    optimizePrior: (options) => fresh.optimizePrior(options),
    evidence: (options) => fresh.evidence(options),
    predict: (options) => tuned.predict(x, options),
    functionCovariance: (options) => tuned.functionCovariance(x, options),
    functionSamples: (options) => tuned.functionSamples(x, 200, options),
    sample: (options) => tuned.sample(2000, options),
    evaluate: (options) => remote.evaluate(tuned, data, options),
    uncertainty: (options) => remote.uncertainty(tuned, x, options),
    diagnose: (options) => tuned.diagnose(data, options),
  };
  const found = {};
  for (const name of names) {
    // A posterior that was not asked yet has its matrix to factor.
    if (["optimizePrior", "evidence"].includes(name)) fresh = await of.fit(data);
    const controller = new AbortController();
    let ended = false;
    const call = phases[name]({ signal: controller.signal }).then(
      () => "ended by itself",
      (reason) => reason,
    );
    call.then(() => {
      ended = true;
    });
    let answers = 0;
    await remote.kernelInfo();
    const heard = !ended;
    controller.abort(name);
    while (!ended) {
      await remote.kernelInfo();
      answers++;
      // Node's ports go on without a turn while messages come.
      await new Promise((go) => setTimeout(go, 5));
    }
    found[name] = { heard, stopped: (await call) === name, answers };
  }
  return found;
}
