// What people do with the pages, done by Chromium on a real service: the demo watched live to its end, a log of a million
// lines opened, searched and jumped in, a run repeated and cancelled, no script, dark, 320 pixels, keys, and axe on every page.
//
//   node walk.mjs PATH-OF-CONTAINEROPS PATH-OF-CHROMIUM [FOLDER-OF-PAGES]
//
// The folder has more pages for axe: those that the tests came to, with CONTAINEROPS_TEST_PAGES.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import lighthouse from "lighthouse";
import { freePort, start, until } from "./service.mjs";

const [program, executablePath, gallery] = process.argv.slice(2);
/// Rules of the Web Content Accessibility Guidelines 2.2, A and AA.
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const inspected = await freePort();
const service = await start(program, executablePath, [`--remote-debugging-port=${inspected}`]);
const { api, base, browser, tab, trouble } = service;
const push = (flow) => service.push({ ".containerops.yml": flow });
const ended = service.ended;

const LOG = `title: Many lines
stages:
  - name: test
    image: busybox
    run: |
      echo '::group::Fetch the dependencies'
      awk 'BEGIN { for (n = 1; n < 300000; n++) print "fetched part " n }'
      echo '::endgroup::'
      awk 'BEGIN { for (n = 1; n < 699999; n++) print "test case_" n " ... ok" }'
      echo 'error: the needle was not found'
      exit 1
`;
const SLOW = `title: Slow
stages:
  - name: wait
    image: busybox
    run: "echo begun; sleep 300"
`;
const LONG = `title: Long
stages:
  - name: count
    image: busybox
    run: |
      for n in $(seq 1 160); do echo "count $n"; sleep 0.05; done
      printf 'a 1%%\\nb 1%%\\n'
      sleep 0.5
      printf '\\033[2A\\033[2Ka 100%%\\n\\033[2Kb 100%%\\nover\\n'
`;
const JOB = "/git/demo/hello/runs/2/test/test/test";

/// What axe has against pages, and which are wider than their window.
async function faults(context, paths) {
  const found = new Set();
  const page = await context.newPage();
  for (const path of paths) {
    await page.goto(base + path);
    for (const width of [1280, 320]) {
      await page.setViewportSize({ width, height: 800 });
      // colours are the same on any screen
      for (const colorScheme of width > 320 ? ["light", "dark"] : ["light"]) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
        for (const { id, nodes } of violations) for (const { html } of nodes.slice(0, 3)) found.add(`${id}: ${html.slice(0, 200)} (${path}, ${colorScheme}, ${width} px)`);
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wide > 0) found.add(`${path} is ${wide} px too wide at ${width} px`);
    }
  }
  await page.close();
  return [...found].sort();
}

/// Pages that have between them every element, with its class, that any of a folder has; the fullest first.
function differing(folder) {
  const tags = (name) => new Set(readFileSync(join(folder, name), "utf8").match(/<[a-z][a-z0-9]*(?: [^>]*?class="[^"]*")?/g));
  const pages = readdirSync(folder).map((name) => ({ name, tags: [...tags(name)].map((tag) => tag.replace(/ .*class=/, " ")) }));
  const seen = new Set();
  const chosen = [];
  for (const { name, tags } of pages.sort((a, b) => b.tags.length - a.tags.length || a.name.localeCompare(b.name))) {
    if (tags.some((tag) => !seen.has(tag))) chosen.push(name);
    tags.forEach((tag) => seen.add(tag));
  }
  return chosen;
}

const steps = {
  async "the demo's run is watched live to its end"() {
    await service.clone();
    const page = await tab();
    await page.goto(`${base}/git/demo/hello/runs/1`);
    await page.locator(".heading .mark.success").waitFor();
    assert.match(await page.title(), /success/);
    await page.close();
  },
  async "a log of a million lines opens at its error"() {
    push(LOG);
    await ended(2);
    const page = await tab();
    await page.goto(base + JOB);
    await until("the log is whole", async () => /complete, 1,000,000 lines/.test(await (await page.reload(), page.locator(".seal")).textContent()));
    assert.match(await page.locator(".here").textContent(), /the needle was not found/);
    assert((await page.locator(".log > li").count()) <= 1_000, "a window of it");
    await page.close();
  },
  async "what is folded unfolds, and a permalink into it opens it"() {
    const page = await tab();
    await page.goto(`${base}${JOB}?from=300002`);
    await page.locator("a.earlier").click();
    await page.locator("a.unfold").click();
    await page.getByText("fetched part 17", { exact: true }).waitFor();
    await page.goto(`${base}${JOB}#L150000-L150003`);
    await page.locator("#L150003.here").waitFor();
    assert.equal(await page.locator(".here").count(), 4);
    await page.close();
  },
  async "it is searched, by keys"() {
    const page = await tab();
    await page.goto(base + JOB);
    await page.keyboard.press("/");
    await page.keyboard.type("case_69999");
    await page.keyboard.press("Enter");
    await page.getByText("1 of 10 lines").waitFor();
    assert.match(await page.locator("mark").first().textContent(), /case_69999/);
    await page.keyboard.press("n");
    await page.getByText("2 of 10 lines").waitFor();
    await page.keyboard.press("?");
    assert(await page.getByRole("dialog", { name: "Keys" }).isVisible());
    await page.close();
  },
  async "a run is repeated and cancelled by its buttons"() {
    push(SLOW);
    const page = await tab();
    await until("it runs", async () => (await api("/runs")).runs[0].number === 3);
    await page.goto(`${base}/git/demo/hello/runs/3`);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.locator(".heading .mark.cancelled").waitFor();
    await page.getByRole("button", { name: "Run again" }).click();
    await until("there is another", async () => (await api("/runs")).runs[0].number === 4);
    await page.goto(`${base}/git/demo/hello/runs/4`);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.locator(".heading .mark.cancelled").waitFor();
    await page.close();
  },
  async "a badge's text is copied by its button"() {
    const page = await tab({ permissions: ["clipboard-read", "clipboard-write"] });
    await page.goto(`${base}/git/demo/hello`);
    await page.getByText("Badge", { exact: true }).click();
    for (const [name, begin] of [["Markdown", "[![build]("], ["HTML", "<a href="], ["AsciiDoc", "image:"]]) {
      const button = page.getByRole("button", { name: `Copy ${name}` });
      await button.click();
      await page.locator(`button[aria-label="Copy ${name}"]`, { hasText: "Copied" }).waitFor();
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      assert.equal(copied, await page.locator(`pre[aria-label="${name}"]`).textContent());
      assert(copied.startsWith(begin) && copied.includes("/git/demo/hello/badge.svg"), copied);
    }
    await page.close();
  },
  async "a browser without scripts sees all of it"() {
    const page = await tab({ javaScriptEnabled: false });
    await page.goto(base + JOB);
    await page.getByRole("searchbox").fill("needle");
    await page.getByRole("button", { name: "Search" }).click();
    assert.match(page.url(), /line=1000000#L1000000$/);
    assert(await page.locator("mark").isVisible());
    await page.close();
  },
  async "a live log loses and doubles nothing when the server is killed, and shows bars as a terminal does"() {
    push(LONG);
    const page = await browser.newPage();
    page.setDefaultTimeout(60_000);
    const job = "/git/demo/hello/runs/5/count/count/count";
    await until("it counts", async () => (await fetch(`${base}${job}/log.txt`)).ok && /count 20\n/.test(await (await fetch(`${base}${job}/log.txt`)).text()));
    await page.goto(base + job);
    await page.getByText("count 30", { exact: true }).waitFor();
    await page.evaluate(() => { window.sameDocument = true; });
    await service.restart();
    await page.locator(".seal.complete").waitFor();
    const lines = await page.locator(".log > li:visible .t").allTextContents();
    const counted = lines.filter((line) => line.startsWith("count "));
    assert.deepEqual(counted, Array.from({ length: 160 }, (_, n) => `count ${n + 1}`));
    assert.deepEqual(lines.slice(lines.indexOf("count 160") + 1, lines.indexOf("over") + 1), ["a 100%", "b 100%", "over"]);
    assert.equal(await page.evaluate(() => window.sameDocument), true, "it came back by itself");
    await page.close();
  },
  async "the keyboard comes to everything, and is seen there"() {
    const page = await tab();
    for (const path of ["/git/demo/hello", "/git/demo/hello/runs/2", `${JOB}?q=needle&line=1000000&from=999990`, "/git/demo/hello/search?q=needle"]) {
      await page.goto(base + path);
      const unseen = await page.evaluate(() => {
        const all = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")];
        const shown = all.filter((one) => one.checkVisibility() && !one.disabled).slice(0, 400);
        return shown.filter((one) => {
          one.focus({ focusVisible: true });
          const style = getComputedStyle(one);
          return document.activeElement !== one || style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2;
        }).map((one) => one.outerHTML.slice(0, 120));
      });
      assert.deepEqual(unseen, [], path);
    }
    await page.close();
  },
  async "axe finds nothing on any page, light and dark, wide and narrow"() {
    const paths = ["/", "/git/demo/hello", "/git/demo/hello/runs/1", "/git/demo/hello/runs/2", `${JOB}?from=999950`, `${JOB}?q=needle&line=1000000&from=999990`, "/git/demo/hello/search?q=needle", "/git/demo/hello/search?q=nobody-has-said-it", "/deliveries", "/nothing-here"];
    assert.deepEqual(await faults(await browser.newContext(), paths), []);
  },
  async "nor on a page of any other kind"() {
    const context = await browser.newContext();
    const pages = gallery ? differing(gallery) : [];
    await context.route(`${base}/gallery/*`, (route) => route.fulfill({ contentType: "text/html", body: readFileSync(join(gallery, route.request().url().split("/").pop())) }));
    await context.route("**/script.js", (route) => route.abort());
    console.log(`    ${pages.length} pages that the tests came to`);
    assert.deepEqual(await faults(context, pages.map((page) => `/gallery/${page}`)), []);
  },
  async "Lighthouse gives the run's page and the log's at least 95"() {
    for (const path of ["/git/demo/hello/runs/2", JOB]) {
      // a busy machine is no fault of the page
      let scores;
      for (let round = 0; round < 3 && !(scores && scores.every(([, score]) => score >= 95)); round += 1) {
        const { lhr } = await lighthouse(base + path, { port: inspected, logLevel: "silent", onlyCategories: ["performance", "accessibility", "best-practices"] });
        scores = Object.values(lhr.categories).map(({ title, score }) => [title, Math.round(score * 100)]);
      }
      console.log(`    ${path}: ${scores.map((score) => score.join(" ")).join(", ")}`);
      assert(scores.every(([, score]) => score >= 95), path);
    }
  },
  async "no page had an error of its own"() {
    const unexpected = trouble.filter((line) => !/nothing-here.*404/.test(line));
    assert.deepEqual(unexpected, []);
  },
};

let failed = false;
try {
  for (const [name, step] of Object.entries(steps)) {
    const begun = Date.now();
    await step();
    console.log(`ok  ${name} (${Date.now() - begun} ms)`);
  }
} catch (error) {
  failed = true;
  console.error(error);
} finally {
  await service.end();
}
process.exit(failed ? 1 : 0);
