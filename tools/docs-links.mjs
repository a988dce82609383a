// Checks the links of a built site: pages and files exist, places within pages too, and addresses elsewhere are well-formed
// (the machine that builds may not reach them).
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";

const unescaped = (text) => text.replaceAll("&amp;", "&").replaceAll("&quot;", '"').replaceAll("&#39;", "'");

/** @throws Error listing every link that leads nowhere */
export function checkLinks(folder) {
  const pages = readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(".html"))
    .map((name) => join(folder, name));
  const contents = new Map(pages.map((page) => [page, readFileSync(page, "utf8")]));
  const places = new Map(
    [...contents].map(([page, html]) => [page, new Set([...html.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id))]),
  );
  const bad = [];
  let links = 0;
  for (const [page, html] of contents) {
    const here = `/${relative(folder, page).replaceAll("\\", "/")}`;
    for (const [, written] of html.matchAll(/<a\s[^>]*?href="([^"]*)"/g)) {
      const href = unescaped(written);
      links++;
      if (!URL.canParse(href, "http://site/")) {
        bad.push(`${here}: ${href} is no address`);
        continue;
      }
      const url = new URL(href, `http://site${here}`);
      if (url.host !== "site") {
        if (url.protocol !== "https:") bad.push(`${here}: ${href} is not https`);
        continue;
      }
      const path = decodeURIComponent(url.pathname);
      const target = [path, `${path}.html`, `${path}index.html`]
        .map((name) => join(folder, name))
        .find((name) => existsSync(name) && statSync(name).isFile());
      const place = decodeURIComponent(url.hash.slice(1));
      if (target === undefined) bad.push(`${here}: there is no ${href}`);
      else if (place !== "" && !places.get(target)?.has(place)) bad.push(`${here}: there is no place ${href}`);
    }
  }
  if (bad.length > 0) throw new Error(`Links that lead nowhere:\n${bad.join("\n")}`);
  return { pages: pages.length, links };
}
