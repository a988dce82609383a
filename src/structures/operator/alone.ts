// Long work among what a pass asks of the kernels: it reads memory, and runs passes of its own.

import { beginStack, endStack, later, onStack } from "../../kernels/memory.ts";
import { atOnce, type Steps } from "../../kernels/steps.ts";

/** Does it whenever its turn comes, in bursts in its steps, on a stack of its own, so that nothing that waits is touched. */
export function alone(work: () => Steps<void>): void {
  const steps = () => onOwnStack(work);
  later(Object.assign(() => atOnce(steps()), { steps }));
}

function* onOwnStack(work: () => Steps<void>): Generator<undefined, void, void> {
  const own = beginStack();
  const steps = work();
  try {
    for (;;) {
      if (onStack(own, () => steps.next()).done) return;
      yield;
    }
  } finally {
    onStack(own, () => steps.return());
    endStack(own);
  }
}
