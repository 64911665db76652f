// A browser at the pages of records, as a person would use them: what it finds, as one JSON
// object on standard output. node page_browser.js CONFIG, a file of JSON:
//   {playwright, chromium, profile, url, file, samples: {name: base64}, cases: [[powers, held]]}
"use strict";
const fs = require("fs");
const config = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const { chromium } = require(config.playwright);

const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const found = { errors: [], requests: [] };

async function watched(context) {
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", e => console.error(`CSP ${e.violatedDirective} ${e.blockedURI}`));
  });
  context.on("page", page => {
    page.on("console", m => found.errors.push(`${m.type()}: ${m.text()}`));
    page.on("pageerror", e => found.errors.push(String(e)));
    page.on("dialog", d => { found.errors.push(`dialog ${d.message()}`); d.dismiss(); });
  });
  context.on("request", r => found.requests.push(r.url()));
  return context;
}

// What a person drops onto the page.
async function drop(page, ...names) {
  const files = names.map(name => ({ name: `${name}.poz`, data: config.samples[name] }));
  const transfer = await page.evaluateHandle(files => {
    const data = new DataTransfer();
    for (const f of files) data.items.add(new File([Uint8Array.from(atob(f.data), c => c.charCodeAt(0))], f.name));
    return data;
  }, files);
  const start = Date.now(), loaded = page.waitForEvent("load");
  await page.dispatchEvent("main, header", "drop", { dataTransfer: transfer });
  await loaded;
  await page.waitForSelector("#tree .row");
  return Date.now() - start;
}

const text = (page, selector) => page.textContent(selector);
const texts = (page, selector) => page.$$eval(selector, all => all.map(e => e.textContent));
const lit = page => texts(page, "#hex .byte.on").then(bytes => bytes.join(" "));
const cursor = page => text(page, "#tree [aria-selected=true] .name");

async function look(page) {
  return {
    title: await text(page, "h1"), outcome: await text(page, ".banner .badge"),
    alerts: await texts(page, "[role=alert]"), figures: await texts(page, "figure svg > title"),
    rows: await page.$$eval("#tree .row", all => all.length),
    wide: await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
    hidden: await page.evaluate(() => /[\u202a-\u202e\u2066-\u2069\u200b\ufeff]/.test(document.body.innerText)),
    foreign: await page.evaluate(() => document.querySelectorAll("script").length),
  };
}

async function hover(page) {
  await page.hover("#tree .row:has(.name:text-is('size'))");
  const bytes = await lit(page), said = await text(page, "#said");
  await page.hover("#hex .byte[data-byte='4']");
  const row = await text(page, "#tree .row.on .name");
  // what is out of sight comes into sight, or what it is folded into
  await page.$eval("#hex", hex => { hex.scrollTop = hex.scrollHeight; });
  await page.waitForSelector("#hex .byte[data-byte='3120']");
  await page.hover("#hex .byte[data-byte='3120']");
  const folded = await text(page, "#tree .row.on .name"), inside = await text(page, "#said strong");
  await page.hover("h1");
  const after = await lit(page);
  return { bytes, said, row, folded, inside, after };
}

async function tabTo(page, id) {
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(id => document.activeElement.id === id, id)) return true;
  }
  return false;
}

async function keys(page) {
  await page.focus("h1").catch(() => {});
  const reached = await tabTo(page, "tree"), walked = [await cursor(page)];
  for (const key of ["ArrowDown", "ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowDown", "ArrowUp", "ArrowRight", "ArrowRight", "End", "Home"]) {
    await page.keyboard.press(key);
    walked.push(await cursor(page));
  }
  await page.keyboard.press("Tab");
  const inHex = await page.evaluate(() => document.activeElement.id), bytes = [];
  for (const key of ["ArrowRight", "ArrowRight", "End", "Home", "ArrowDown"]) {
    await page.keyboard.press(key);
    bytes.push(await cursor(page));
  }
  const active = await page.getAttribute("#tree", "aria-activedescendant");
  return { reached, walked, inHex, bytes, active: await page.$(`#${active}`) !== null,
    expanded: await page.$$eval("#tree [aria-expanded=true]", all => all.length) };
}

// The toggles by keyboard: the first key is lost, then stolen.
async function toggles(page) {
  await page.waitForSelector("#simulator input:enabled");
  const states = [await text(page, "#outcome")];
  await page.focus("#simulator input");
  await page.keyboard.press("Space");
  states.push(await text(page, "#outcome"), (await texts(page, ".powers .you"))[0]);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  states.push(await text(page, "#outcome"), (await texts(page, ".powers .thief"))[0]);
  await page.click("button[type=reset]");
  await page.waitForFunction(() => document.querySelector("#outcome").textContent.startsWith("Nothing"));
  return states;
}

// Every single key and every pair, lost and stolen, in the page itself.
async function everyPair(page) {
  return page.evaluate(() => {
    const form = document.querySelector("#simulator"), boxes = kind => Array.from(form.querySelectorAll(`input[name=${kind}]`));
    const keys = boxes("lost").map(b => Number(b.value)), answers = [];
    const sets = keys.flatMap((a, i) => keys.slice(i).map(b => [...new Set([a, b])]));
    for (const set of sets) {
      for (const kind of ["lost", "stolen"]) for (const b of boxes(kind)) b.checked = set.includes(Number(b.value));
      form.dispatchEvent(new Event("change"));
      const read = who => Array.from(document.querySelectorAll(`.powers .${who}`), td => td.classList.contains("yes"));
      answers.push({ keys: set, you: read("you"), thief: read("thief"), outcome: document.querySelector("#outcome").textContent });
    }
    return answers;
  });
}

const colors = page => page.evaluate(() => {
  const style = getComputedStyle(document.documentElement), channels = c => c.match(/[\d.]+/g).slice(0, 3).map(Number);
  const light = c => { const [r, g, b] = channels(c).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const paper = light(style.backgroundColor), contrast = c => { const l = light(c); return (Math.max(l, paper) + 0.05) / (Math.min(l, paper) + 0.05); };
  const of = s => { const e = document.querySelector(s); return e ? contrast(getComputedStyle(e).color) : 99; };
  return { paper, contrasts: ["body", ".lead", ".badge", "code", "#tree .value", "#hex .offset", ".sign", "thead th"].map(s => [s, of(s)]) };
});

(async () => {
  const browser = await chromium.launchPersistentContext(config.profile,
    { executablePath: config.chromium, headless: true, args: flags, viewport: { width: 1280, height: 900 } });
  browser.setDefaultTimeout(90000);
  await watched(browser);
  const page = await browser.newPage();

  await page.goto(config.url);
  found.empty = await text(page, "h1");
  found.looks = {};
  for (const names of [["valid", "provider"], ["broken"], ["fork", "copy"], ["entries"], ["hostile"], ["holder"], ["empty"], ["large"]]) {
    const ms = await drop(page, ...names);
    found.looks[names[0]] = { ...await look(page), ms };
    if (names[0] === "valid") {
      found.hover = await hover(page);
      found.keys = await keys(page);
    }
    if (names[0] === "broken") found.fault = { bytes: await texts(page, "#hex .byte.fault"), row: await text(page, "#tree .row.fault") };
    if (names[0] === "empty") {
      await page.focus("#hex");
      await page.keyboard.press("ArrowRight");
    }
    if (names[0] === "large") {
      await page.focus("#tree");
      await page.keyboard.press("End");
      found.looks.large.last = await text(page, "#said");
      found.looks.large.drawn = await page.$$eval("#bytes *", all => all.length);
    }
  }
  await page.setInputFiles("#open input[type=file]", { name: "chosen.poz", mimeType: "", buffer: Buffer.from(config.samples.valid, "base64") });
  await page.waitForFunction(() => document.querySelector("h1").textContent === "chosen.poz");

  found.pairs = {};
  for (const [name, file] of Object.entries(config.files)) {
    await page.goto(`file://${file}`);
    found.pairs[name] = await everyPair(page);
  }
  await page.goto(`file://${config.files.valid}`);
  found.toggles = await toggles(page);
  found.cases = await page.evaluate(cases => cases.map(([powers, held]) => powers.map(p => can(p, new Set(held)))), config.cases);

  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    found[scheme] = await colors(page);
  }
  await page.emulateMedia({ colorScheme: "light", media: "print" });
  found.print = await page.evaluate(() => { dispatchEvent(new Event("beforeprint")); return document.querySelectorAll("#hex .row").length; });
  await page.emulateMedia({ media: "screen" });
  await page.setViewportSize({ width: 390, height: 844 });
  await page.reload();
  found.narrow = await look(page);
  await browser.close();

  const plain = await chromium.launch({ executablePath: config.chromium, headless: true, args: flags });
  const still = await (await watched(await plain.newContext({ javaScriptEnabled: false }))).newPage();
  await still.goto(`file://${config.files.valid}`);
  found.still = { steps: (await still.$$("#steps li")).length, dump: await still.textContent("pre.dump"), bytes: await still.isVisible("#bytes"),
    figures: (await still.$$("figure svg")).length };
  await plain.close();
  console.log(JSON.stringify(found));
})().catch(e => { console.error(e); process.exit(1); });
