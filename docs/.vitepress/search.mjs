// How the site is searched. A page's front matter may have `keywords`: what else readers call what it is about. They count as
// text of its first section. Functions here go to the page as text, so they use nothing from around them.

/** What is indexed of a page. */
function render(source, env, markdown) {
  const html = markdown.render(source, env);
  const { search, keywords } = env.frontmatter ?? {};
  if (search === false) return "";
  return keywords === undefined ? html : html.replace(/<\/h1>/, `</h1>\n<p>${keywords}</p>`);
}

/** What the page asks of its index; MiniSearch's options. `tools/docs-search.mjs` asks the same. */
export const searchOptions = {
  fuzzy: 0.2,
  prefix: true,
  boost: { title: 4, text: 2, titles: 1 },
  // Guides come before the API: it repeats their words in many places.
  boostDocument: (id) =>
    id.includes("/api/") ? 0.3 : id.includes("/compatibility") || id.includes("/migration") ? 0.5 : 1,
};

export const search = { provider: "local", options: { _render: render, miniSearch: { searchOptions } } };
