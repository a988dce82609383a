// Draws all pictures of the documentation by running the library, into the folder that is given.
//
//   node docs/pictures/make.mjs docs/generated
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { columns } from "./columns.mjs";
import { matrices } from "./matrices.mjs";
import { moons } from "./moons.mjs";
import { band, functions } from "./regression.mjs";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("Give the folder that the pictures go to.");
mkdirSync(folder, { recursive: true });

/** Inside a page, pictures are elements, so that they follow its colours; the README's is a file of its own. */
for (const draw of [band, functions, moons, matrices, columns]) {
  writeFileSync(join(folder, `${draw.name}.svg`), `<figure class="picture">\n${draw().trimEnd()}\n</figure>\n`);
}
writeFileSync(join(folder, "readme-band.svg"), band({ standalone: true }));
