// Draws all pictures of the documentation by running the library, into the folder that is given.
//
//   node docs/pictures/make.mjs docs/generated
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { columns } from "./columns.mjs";
import { labelling, optimising } from "./compared.mjs";
import { gallery } from "./gallery.mjs";
import { live } from "./live.mjs";
import { looking } from "./looking.mjs";
import { matrices } from "./matrices.mjs";
import { moons } from "./moons.mjs";
import { valuesOf } from "./programs.mjs";
import { band, functions } from "./regression.mjs";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("Give the folder that the pictures go to.");
mkdirSync(folder, { recursive: true });

/** Inside a page, pictures are elements, so that they follow its colours; the README's is a file of its own. */
const write = (name, svg) =>
  writeFileSync(join(folder, `${name}.svg`), `<figure class="picture">\n${svg.trimEnd()}\n</figure>\n`);
for (const draw of [band, functions, moons, matrices, columns, looking, optimising, labelling])
  write(draw.name, draw());
for (const [name, draw] of Object.entries(gallery)) write(`gallery-${name}`, await draw());
const { svg } = await valuesOf("drawing", "Plain SVG", "svg");
write("drawing-svg", svg);
writeFileSync(join(folder, "readme-band.svg"), band({ standalone: true }));
writeFileSync(join(folder, "live-band.json"), live);
