// Which file imports which, read from their texts: types too, and what is loaded later.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** The TypeScript files of a folder and of those within it. */
export function sources(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (["assembly", "generated"].includes(name)) return [];
    return statSync(path).isDirectory() ? sources(path) : [path];
  });
}

/** What follows "from" or stands in import(…), as the file writes it. */
export const importedNames = (file: string): string[] =>
  [...readFileSync(file, "utf8").matchAll(/\b(?:from |import\()"([^"]+)"/g)].map(([, name]) => name);

/** The project's own files that a file imports. */
export const importsOf = (file: string): string[] =>
  importedNames(file).flatMap((name) => (name.startsWith(".") ? [normalize(join(dirname(file), name))] : []));

/** Circles among files, each as the files in turn, the first once more at its end; none where there are none. */
export function circlesOf(
  files: readonly string[],
  imports: (file: string) => readonly string[] = importsOf,
): string[][] {
  const circles: string[][] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]) => {
    const at = path.indexOf(file);
    if (at >= 0) circles.push([...path.slice(at), file]);
    if (at >= 0 || done.has(file)) return;
    for (const next of imports(file)) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  return circles;
}
