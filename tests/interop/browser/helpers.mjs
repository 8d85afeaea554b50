// What every scenario in the browser needs: a browser, a page of somebody else, and claims.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const FLAGS = [
  "--headless",
  "--no-sandbox", // a container's root has no other choice
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const undo = [];

/** Has `close` called at the end of the scenario. */
export function undoing(close) {
  undo.push(close);
}

/** Debian's Chromium with a fresh profile. Names of `hosts` lead to this machine. */
export async function openBrowser(hosts = []) {
  const rules = hosts.map((host) => `MAP ${host} 127.0.0.1`).join(",");
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: rules ? [...FLAGS, `--host-resolver-rules=${rules}`] : FLAGS,
  });
  undo.push(() => browser.close());
  return browser;
}

/** The port of a server of somebody else that answers every request with `html`; by TLS with `{cert, key}`. */
export async function serveForeignPage(html, tls) {
  const answer = (_, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(html);
  };
  const server = tls ? createSecureServer(tls, answer) : createServer(answer);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  undo.push(() => server.closeAllConnections() ?? server.close());
  return server.address().port;
}

/** Says that `claim` holds, or ends the scenario with what was expected and what was found. */
export function check(claim, found, expected) {
  const right = expected instanceof RegExp ? expected.test(found) : same(found, expected);
  if (!right) {
    const wanted = expected instanceof RegExp ? `${expected}` : JSON.stringify(expected);
    throw new Error(`${claim}: expected ${wanted}, found ${JSON.stringify(found)}`);
  }
  console.log(`ok: ${claim}`);
}

/** Checks that axe-core finds nothing wrong with the page, in light and in dark. */
export async function checkAccessible(page, what) {
  const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(source);
    const violations = await page.evaluate(async () => {
      const { violations, passes } = await axe.run();
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
      return passes.length > 5 ? found : ["axe has checked nothing"];
    });
    check(`${what}: no axe violation in ${colorScheme}`, violations, []);
  }
  await page.emulateMedia({ colorScheme: null });
}

function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Runs `scenario`, closes what it opened, and ends with its success. It may take so many milliseconds. */
export async function run(scenario, patience = 240_000) {
  let status = 0;
  // What runs inside a page has no time limit of its own.
  const limit = new Promise((_, reject) => setTimeout(() => reject(new Error("still not done")), patience).unref());
  try {
    await Promise.race([scenario(), limit]);
  } catch (error) {
    console.log(`FAILED: ${error.stack}`);
    status = 1;
  }
  for (const close of undo.reverse()) await close();
  process.exit(status);
}
