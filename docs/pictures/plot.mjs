// Runs the documentation's program for Observable Plot in a document without a window, and keeps what it draws.
//
//   node docs/pictures/plot.mjs docs/generated
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { JSDOM } from "jsdom";
import { valuesOf } from "./programs.mjs";

const [folder] = process.argv.slice(2);
const { window } = new JSDOM("");
Object.assign(globalThis, { window, document: window.document });
// Beside the site's own dependencies, of which Plot is one.
const { rows } = await valuesOf("drawing", "Observable Plot", "rows", resolve(folder));
const drawn = window.document.body.querySelector("svg");
const marks = ["area", "line", "dot"].map((name) => drawn?.querySelector(`[aria-label="${name}"]`)?.childElementCount);
// One band, one line, and a dot for each of 60 points.
if (rows.length !== 121 || marks.join() !== "1,1,60") throw new Error(`Observable Plot draws ${marks.join()} marks.`);
drawn.setAttribute("role", "img");
drawn.setAttribute("aria-label", "A curve with its 95 % band, drawn by Observable Plot");
// An element of a page written in Markdown is one line, or has no empty ones.
const svg = drawn.outerHTML.replace(/\n\s*/g, " ");
writeFileSync(join(folder, "drawing-plot.svg"), `<figure class="picture">\n${svg}\n</figure>\n`);
