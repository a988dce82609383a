// Programs of the documentation's pages, run for what they compute: a picture shows the program that stands beside it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
// The repository's own: the site has an older one.
import { transformWithOxc } from "../../node_modules/vite/dist/node/index.js";

const docs = fileURLToPath(new URL("..", import.meta.url));

/** The program under a heading of a page: its first block of TypeScript or JavaScript. @throws Error if there is none */
export function programUnder(page, heading) {
  const [, section] = readFileSync(`${docs}${page}.md`, "utf8").split(`\n## ${heading}\n`);
  const code = section?.split("\n## ")[0].match(/^```(?:ts|js).*\n([\s\S]*?)^```$/m)?.[1];
  if (code === undefined) throw new Error(`docs/${page}.md has no program under "${heading}".`);
  return code;
}

/**
 * The values that the program leaves, by their names; what it prints is not shown.
 * @param folder where the program is written, which is where its imports are looked up from
 */
export async function valuesOf(page, heading, names, folder = `${docs}../build/docs/pictures`) {
  mkdirSync(folder, { recursive: true });
  const file = `${folder}/${page}-${heading.toLowerCase().replace(/\W+/g, "-")}.mjs`;
  const { code } = await transformWithOxc(`${programUnder(page, heading)}\nexport { ${names} };\n`, `${file}.ts`);
  writeFileSync(file, code);
  const { log } = console;
  console.log = () => {};
  try {
    return await import(pathToFileURL(file));
  } finally {
    console.log = log;
  }
}
