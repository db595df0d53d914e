// Makes the pictures of docs/images: a service with a repository that has a few days' worth of pushes, and its main pages.
//
//   node photograph.mjs PATH-OF-CONTAINEROPS PATH-OF-CHROMIUM FOLDER
import { join } from "node:path";
import { start, until } from "./service.mjs";

const [program, executablePath, images] = process.argv.slice(2);
const REPOSITORY = "acme/shop";
const RUNS = `/git/${REPOSITORY}`;

const FLOW = `title: Check, build and ship
stages:
  - name: check
    sequencing: parallel
    fail-fast: false
    actions:
      - name: style
        image: python:3.13
        run: python3 -m compileall -q shop tests
      - name: unit
        matrix: {python: ["3.11", "3.12", "3.13"]}
        image: python:@python@
        run: |
          echo '::group::Tests'
          python3 -m unittest -v 2>&1
          echo '::endgroup::'
  - name: build
    actions:
      - name: package
        jobs:
          - name: zip
            image: python:3.13
            run: |
              python3 -m zipapp --compress --main shop.price:main --output shop.pyz .
              echo "[COUT] VERSION = 1.4.$(git rev-list --count HEAD)"
            outputs: [VERSION]
            artifacts: {name: shop, paths: shop.pyz}
          - name: smoke
            image: python:3.13
            run: python3 shop.pyz 100 25
  - name: docs
    needs: []
    image: python:3.13
    run: python3 -m pydoc shop.price
  - name: ship
    needs: [build, docs]
    image: busybox:1.37
    run: echo "shop $SHOP is ready"
    subscriptions: [{"build.package.zip[VERSION]": SHOP}]
`;
const PRICE = `"""What things cost."""
import sys


def discounted(price: float, percent: float) -> float:
    """The price when some percent are taken off."""
    return round(price * (100 - percent) / 100, 2)


def main() -> None:
    print(discounted(float(sys.argv[1]), float(sys.argv[2])))
`;
const TESTS = `import unittest

from shop.price import discounted


class Discount(unittest.TestCase):
    def test_a_quarter_off(self):
        self.assertEqual(discounted(100, 25), 75)

    def test_nothing_off(self):
        self.assertEqual(discounted(19.99, 0), 19.99)

    def test_all_of_it_off(self):
        self.assertEqual(discounted(5, 100), 0)
`;
const WRONG = PRICE.replace("(100 - percent) / 100", "(1 - percent / 10)");
const PUSHES = [
  { author: "Ada", message: "Take a percentage off a price", files: { ".containerops.yml": FLOW, "shop/__init__.py": "", "shop/price.py": PRICE, "tests/__init__.py": "", "tests/test_price.py": TESTS } },
  { author: "Grace", message: "Say what a discount is", files: { "README.md": "A small shop.\n" } },
  { author: "Linus", message: "Coupons are per mille", branch: "coupons", files: { "shop/price.py": WRONG } },
  { author: "Linus", message: "No, they are per cent", branch: "coupons", files: { "shop/price.py": PRICE } },
  { author: "Ada", message: "Ship from the main branch", files: { "CHANGES.md": "1.4: coupons\n" } },
  { author: "Grace", message: "Prices are round", files: { "shop/price.py": WRONG } },
];
const FAILED = 6;
const WHOLE = 5;

const service = await start(program, executablePath);
const { base, tab } = service;

/// A page at a time when nothing of it moves.
async function picture(name, path, { height = 900, ...options } = {}) {
  const page = await tab({ viewport: { width: 1200, height }, colorScheme: "light", reducedMotion: "reduce", ...options });
  await page.goto(base + path);
  // times become the reader's own
  await page.waitForTimeout(500);
  await page.screenshot({ path: join(images, `${name}.png`) });
  await page.close();
}

/// Where the log of the first job that failed is.
async function failedLog() {
  const { runs } = await service.api(`/runs?forge=git&repository=${REPOSITORY}`);
  const run = await service.api(`/runs/${runs.find(({ number }) => number === FAILED).id}`);
  const jobs = run.stages.flatMap(({ actions }) => actions).flatMap(({ jobs }) => jobs);
  return jobs.find(({ words }) => words?.startsWith("exit code")).log.page;
}

try {
  await until("the service answers", async () => (await fetch(`${base}/readyz`)).ok);
  service.init(REPOSITORY);
  for (const [at, { files, ...push }] of PUSHES.entries()) {
    service.push(files, push);
    await service.ended(at + 1, REPOSITORY);
  }
  await picture("runs", "/", { height: 640 });
  await picture("repository", RUNS, { height: 900 });
  await picture("run", `${RUNS}/runs/${WHOLE}`, { height: 1100 });
  await picture("run-dark", `${RUNS}/runs/${FAILED}`, { height: 1100, colorScheme: "dark" });
  await picture("log", await failedLog(), { height: 640 });
} finally {
  await service.end();
}
