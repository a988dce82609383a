// Uses the band of the built site's front page as readers do: by mouse, by finger, by keyboard, and without JavaScript.
import { spawnSync } from "node:child_process";
import { openPage, serve } from "./chromium-page.mjs";

const expect = (what, holds) => {
  if (!holds) throw new Error(`The front page: ${what}`);
};

/** What the band is now, and where a point lies on the screen. */
const mean = `document.querySelector(".live .mean").getAttribute("d")`;
const count = `document.querySelectorAll(".live-point").length`;
const pointAt = (i) => `(() => {
  document.querySelector(".live-plot").scrollIntoView({ block: "center" });
  const { left, top, width, height } = document.querySelectorAll(".live-point")[${i}].getBoundingClientRect();
  return { x: left + width / 2, y: top + height / 2 };
})()`;
const label = (i) => `document.querySelectorAll(".live-point")[${i}].ariaLabel`;

async function withPage(address, options, use) {
  const page = await openPage(options);
  try {
    await page.open(address);
    await use(page);
    const said = page.said().filter((line) => !/404/.test(line));
    expect(`it says ${said.join("\n")}`, said.length === 0);
  } finally {
    await page.close();
  }
}

const ready = (page) => page.until(`document.querySelector(".live.ready")`);
/** The band is another than `before`, and at rest. */
const refitted = (page, before) => page.until(`${mean} !== ${JSON.stringify(before)}`);

async function byMouse(page) {
  await ready(page);
  const mouse = (type, { x, y }) =>
    page.tell("Input.dispatchMouseEvent", { type, x, y, button: "left", buttons: 1, clickCount: 1 });
  let before = await page.evaluate(mean);
  const from = await page.evaluate(pointAt(5));
  const was = await page.evaluate(label(5));
  await mouse("mousePressed", from);
  for (const step of [20, 40, 60]) await mouse("mouseMoved", { x: from.x, y: from.y - step });
  await mouse("mouseReleased", { x: from.x, y: from.y - 60 });
  expect("a point that is dragged stays", (await page.evaluate(label(5))) !== was);
  await refitted(page, before);
  await page.until(`document.querySelector('.live [aria-live]').textContent.includes("give or take")`);
  const points = await page.evaluate(count);
  const [free] = await page.evaluate(`[${pointAt(0)}].map(({ x, y }) => ({ x, y: y + 70 }))`);
  before = await page.evaluate(mean);
  await mouse("mousePressed", free);
  await mouse("mouseReleased", free);
  expect("a press adds a point", (await page.evaluate(count)) === points + 1);
  await refitted(page, before);
}

async function byFinger(page) {
  await ready(page);
  const before = await page.evaluate(mean);
  const { x, y } = await page.evaluate(pointAt(3));
  const touch = (type, at) =>
    page.tell("Input.dispatchTouchEvent", { type, touchPoints: at === undefined ? [] : [at] });
  await touch("touchStart", { x, y });
  for (const step of [15, 30, 45]) await touch("touchMove", { x, y: y - step });
  await touch("touchEnd");
  await refitted(page, before);
  expect("a finger adds no point where it drags one", (await page.evaluate(count)) === 13);
  expect("it is not wider than a telephone", await page.evaluate("document.documentElement.scrollWidth <= innerWidth"));
}

async function byKeyboard(page) {
  await ready(page);
  const before = await page.evaluate(mean);
  const was = await page.evaluate(label(2));
  await page.evaluate(`document.querySelectorAll(".live-point")[2].focus()`);
  const key = (name) => page.tell("Input.dispatchKeyEvent", { type: "keyDown", key: name });
  for (const name of ["ArrowUp", "ArrowUp", "ArrowRight"]) await key(name);
  expect("arrow keys move a point", (await page.evaluate(label(2))) !== was);
  await refitted(page, before);
  await key("Delete");
  expect("Delete takes it away", (await page.evaluate(count)) === 12);
}

async function withoutScripts(page) {
  await page.until(`document.querySelector(".live .mean") !== null`);
  expect("it is a picture", (await page.evaluate(mean)).length > 500 && (await page.evaluate(count)) === 13);
  expect("its points wait", await page.evaluate(`document.querySelector(".live-point").disabled`));
}

/** @throws Error saying what does not work @returns false where there is no Chromium */
export async function checkLive(folder) {
  if (spawnSync("chromium", ["--version"]).status !== 0) return false;
  const server = await serve(folder);
  try {
    await withPage(server.address, {}, byMouse);
    await withPage(server.address, { width: 400, height: 860, touch: true }, byFinger);
    await withPage(server.address, { still: true }, byKeyboard);
    await withPage(server.address, { scripts: false }, withoutScripts);
  } finally {
    server.close();
  }
  return true;
}
