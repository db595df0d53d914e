// A real service for the browser: the demo in a folder of its own, a tree to push from, and Chromium.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { chromium } from "playwright-core";

/// How long anything may take, in milliseconds.
export const PATIENCE = 60_000;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"];

/// A port that nobody listens at.
export function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/// Asks again and again until it holds.
export async function until(what, holds) {
  const end = Date.now() + PATIENCE;
  while (!(await Promise.resolve().then(holds).catch(() => false))) {
    assert(Date.now() < end, `in ${PATIENCE / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/// `program demo`, and a browser that looks at it; `end` stops both and removes what they have written.
export async function start(program, executablePath, flags = []) {
  const folder = mkdtempSync(join(tmpdir(), "containerops-browser-"));
  const tree = join(folder, "tree");
  const data = join(folder, "data");
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const begin = () => spawn(program, ["demo"], {
    cwd: folder,
    env: { ...process.env, CONTAINEROPS_DATA: data, CONTAINEROPS_LISTEN: `127.0.0.1:${port}`, CONTAINEROPS_EXECUTOR: "process" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  let process_ = begin();
  const gone = () => new Promise((resolve) => (process_.exitCode === null && process_.signalCode === null ? process_.once("exit", resolve) : resolve()));
  const browser = await chromium.launch({ executablePath, args: [...FLAGS, ...flags] });
  /// What pages said went wrong in them.
  const trouble = [];
  const api = async (path) => (await fetch(`${base}/api/v1${path}`)).json();
  const git = (author, ...words) =>
    execFileSync("git", ["-c", `user.name=${author}`, "-c", `user.email=${author.toLowerCase()}@example.com`, ...words], { cwd: tree, stdio: "pipe" });

  return {
    base, browser, trouble, api,

    /// A tab whose troubles are kept.
    async tab(options = {}) {
      const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
      page.setDefaultTimeout(PATIENCE);
      page.on("pageerror", (error) => trouble.push(`${page.url()}: ${error}`));
      page.on("console", (message) => message.type() === "error" && trouble.push(`${page.url()}: ${message.text()}`));
      return page;
    },

    /// Waits until the demo has pushed, and takes a clone of its repository.
    async clone() {
      await until("the service answers", async () => (await fetch(`${base}/readyz`)).ok);
      await until("the demo has pushed", async () => (await api("/runs")).runs.length > 0);
      execFileSync("git", ["clone", "--quiet", join(data, "git/demo/hello.git"), tree], { stdio: "pipe" });
    },

    /// Makes another repository, to be pushed to from now on.
    init(name) {
      rmSync(tree, { recursive: true, force: true });
      const bare = join(data, `git/${name}.git`);
      execFileSync(program, ["git", "init", "--url", base, "--data", data, bare], { stdio: "pipe" });
      execFileSync("git", ["clone", "--quiet", bare, tree], { stdio: "pipe" });
    },

    /// Commits files by their paths, and pushes them.
    push(files, { message = "A flow for the browser", author = "Ada", branch = "main" } = {}) {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(tree, path)), { recursive: true });
        writeFileSync(join(tree, path), text);
      }
      git(author, "add", "--all");
      git(author, "commit", "--quiet", "--allow-empty", `--message=${message}`);
      git(author, "push", "--quiet", "--force", "origin", `HEAD:${branch}`);
    },

    /// Waits for the end of the run of a number.
    ended(number, repository = "demo/hello") {
      return until(`run ${number} of ${repository} ends`, async () => (await api(`/runs?forge=git&repository=${repository}`)).runs.some((run) => run.number === number && run.ended));
    },

    /// Pulls the plug, and starts it again on the same data.
    async restart() {
      process_.kill("SIGKILL");
      await gone();
      process_ = begin();
      await until("it is back", async () => (await fetch(`${base}/readyz`)).ok);
    },

    async end() {
      await browser.close();
      process_.kill("SIGTERM");
      await gone();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
