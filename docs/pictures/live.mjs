// What the front page shows before the library is there: the first points, trained weights, and their band.
import * as library from "laplace-ts";
import { beginnings, liveFit } from "../.vitepress/theme/live-fit.mjs";

const points = beginnings["A wave"];
const fit = liveFit(library);
const rounded = (values) => Array.from(values, (value) => Number(value.toFixed(4)));
const band = await fit.step(points, 2500);

export const live = JSON.stringify({
  points,
  parameters: Array.from(fit.net.parameters.data),
  band: Object.fromEntries(Object.entries(band).map(([name, values]) => [name, rounded(values)])),
});
