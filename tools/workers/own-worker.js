// A worker file of one's own.
import "laplace-ts/worker";
import { defineLikelihood } from "laplace-ts";

globalThis.defineLikelihood = defineLikelihood;
