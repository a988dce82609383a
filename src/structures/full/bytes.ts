// What a whole matrix needs: 8 S² bytes, and as many for its factor.

import { bytesPerElement } from "../../kernels/memory.ts";
import { type ByteCounts, eighBytes, FLOAT64, nothing } from "../bytes.ts";
import { rowNumbers } from "../jacobian-rows.ts";
import { fullScratch } from "./precision.ts";

export const memory: ByteCounts = {
  bytes({ size }) {
    const matrix = FLOAT64 * size ** 2;
    // Eigenvalues for the evidence; then the factor, which a prediction copies into the kernels' memory.
    const held = FLOAT64 * size + matrix;
    return { curvature: matrix, factoring: eighBytes(size), first: held, held };
  },
  between: nothing,
  scratch: ({ size }, { columns, batch }) => fullScratch(columns, batch, size),
  variances(selection, part, _, each) {
    const { columns, batch, dtype } = part;
    const bytes = bytesPerElement(dtype);
    const rows = batch * columns * selection.size;
    const copies = dtype === "float64" ? 0 : FLOAT64 * rows;
    // The factor, the rows, their products and a copy of these.
    const written = bytes * rows + Math.max(copies, bytes * rowNumbers(selection, part));
    return FLOAT64 * selection.size ** 2 + written + batch * each * 2 * FLOAT64;
  },
  draws: ({ size }) => FLOAT64 * size ** 2,
};
