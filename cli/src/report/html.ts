// HTML as values: whatever comes from data is escaped where it enters a template, because there is no other way in.

/** A piece of HTML that is safe to insert as it is. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** What a template takes: HTML goes in as it is, everything else escaped; nothing for `undefined`. */
export type Content = Html | string | number | undefined | readonly Content[];

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

// Characters that HTML forbids, halves of a surrogate pair, and those that turn the direction of what follows.
const unprintable = /[\p{Cc}\p{Surrogate}\u202a-\u202e\u2066-\u2069\ufffe\uffff]/gu;

/** Text with the characters replaced that no page can show; line breaks and tabs become spaces. */
export function clean(text: string): string {
  return text.replace(/[\t\n\r]/g, " ").replace(unprintable, "\ufffd");
}

function write(content: Content): string {
  if (content === undefined) return "";
  if (content instanceof Html) return content.text;
  if (typeof content === "object") return content.map(write).join("");
  return clean(String(content)).replace(/[&<>"']/g, (character) => entities[character]);
}

/** A template of HTML: html`<td>${cell}</td>`. */
export function html(strings: TemplateStringsArray, ...contents: readonly Content[]): Html {
  return new Html(String.raw({ raw: strings }, ...contents.map(write)));
}

/** At most `length` characters of a text, the last one an ellipsis if there were more. */
export function short(text: string, length: number): string {
  const characters = [...clean(text.slice(0, 4 * length))];
  return characters.length <= length && text.length <= 4 * length
    ? characters.join("")
    : `${characters.slice(0, length - 1).join("")}…`;
}

/** A name or a cell: shortened, and then whole (within reason) in the tooltip. */
export function name(text: string, length = 40): Html {
  const shown = short(text, length);
  return shown === clean(text) ? html`${shown}` : html`<span title="${short(text, 300)}">${shown}</span>`;
}
