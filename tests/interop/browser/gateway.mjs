// JupyterLab behind the gateway, in a real browser: a notebook is opened and run, and strangers stay out.
//
//   node gateway.mjs LINK DIRECTORY
//
// LINK is the launch link that gateway printed; the notebook answer.ipynb prints "the answer is 42". Screenshots go to DIRECTORY.

import { join } from "node:path";
import { check, openBrowser, run, serveForeignPage } from "./helpers.mjs";

const [link, pictures] = process.argv.slice(2);
const { host, port, origin } = new URL(link);
const slow = { timeout: 90_000 };

await run(async () => {
  const browser = await openBrowser();
  await beRefused(browser, "somebody new");
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 } });
  const page = await context.newPage();
  await logIn(context, page);
  await runNotebook(context, page);
  await useForeignPage(context);
  await logOut(context, page);
  await beRefused(browser, "somebody new, later");
}, 220_000);

/** The link leads to JupyterLab, whose own cookies do not end the login. */
async function logIn(context, page) {
  await page.goto(link);
  await page.waitForURL(`${origin}/lab**`, slow);
  check("the link leads to JupyterLab", new URL(page.url()).pathname, "/lab");
  await page.waitForSelector("#jp-main-dock-panel", slow);
  const names = async () => (await context.cookies()).map(({ name }) => name).sort();
  const wanted = ["_xsrf", `upstream-username-127-0-0-1-${port}`, `username-127-0-0-1-${port}`];
  check("its cookies and ours are there beside each other", await names(), wanted);
  await page.reload();
  await page.waitForSelector("#jp-main-dock-panel", slow);
  check("they stay, whatever JupyterLab sets", await names(), wanted);
}

/** A notebook of which a cell is run, by a kernel that is talked to by websocket, and which is saved. */
async function runNotebook(context, page) {
  const sockets = [];
  page.on("websocket", (socket) => sockets.push(socket.url()));
  const writes = [];
  page.on("response", (response) => {
    if (response.request().method() !== "GET") writes.push(`${response.request().method()} ${new URL(response.url()).pathname} ${response.status()}`);
  });
  await page.goto(`${origin}/lab/tree/answer.ipynb`);
  await page.waitForSelector(".jp-Notebook .jp-CodeCell", slow);
  // What is run before the kernel is there is forgotten.
  await page.getByText("Python 3 (ipykernel) | Idle").first().waitFor(slow);
  await page.locator(".jp-CodeCell .cm-content").first().click();
  await page.keyboard.press("Shift+Enter");
  const output = page.locator(".jp-OutputArea-output").first();
  await output.waitFor(slow);
  check("a cell is run, and its output is seen", (await output.innerText()).trim(), "the answer is 42");
  check("the kernel is talked to through the gate", sockets.some((url) => url.startsWith(`ws://${host}/api/kernels/`)), true);
  const saved = page.waitForResponse((response) => response.request().method() === "PUT" && response.url().includes("/api/contents/answer.ipynb"), slow);
  await page.keyboard.press("Control+s");
  check("the notebook is saved", (await saved).status(), 200);
  check("nothing that was written was refused", writes.filter((line) => / 4\d\d$/.test(line)), []);
  await page.screenshot({ path: join(pictures, "notebook.png") });
}

/** The page of somebody else, on another port of the same host, to which the browser sends the same cookies. */
async function useForeignPage(context) {
  const foreign = await serveForeignPage("<!doctype html><title>Somebody else</title>");
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${foreign}/`);
  const statuses = new Map();
  page.on("response", (response) => statuses.set(`${response.request().method()} ${new URL(response.url()).pathname}`, response.status()));
  await page.evaluate(
    (url) => fetch(url, { method: "POST", mode: "no-cors", credentials: "include" }).catch(() => {}),
    `${origin}/api/kernels`,
  );
  check("another site cannot start a kernel", statuses.get("POST /api/kernels"), 403);
  const refused = new Promise((resolve) => page.once("websocket", (socket) => socket.on("socketerror", resolve)));
  await page.evaluate(
    (url) => new Promise((resolve) => Object.assign(new WebSocket(url), { onclose: resolve, onopen: resolve })),
    `ws://${host}/api/events/subscribe`,
  );
  check("another site cannot listen by websocket", await refused, /403/);
  await page.close();
}

async function logOut(context, page) {
  await page.goto(`${origin}/logout`);
  check("the gate logs out", await page.textContent("h1"), "You are logged out");
  check("the login is gone", (await context.cookies()).some(({ name }) => name.startsWith("username-")), false);
  await page.goto(`${origin}/lab`);
  check("JupyterLab is out of reach again", page.url(), `${origin}/login?next=%2Flab`);
}

/** Without a login nothing of it is seen. */
async function beRefused(browser, who) {
  // The login page lets no script ask anything; here it is asked for.
  const context = await browser.newContext({ bypassCSP: true });
  const page = await context.newPage();
  await page.goto(`${origin}/lab/tree/answer.ipynb`);
  check(`${who} sees the login page`, page.url(), `${origin}/login?next=%2Flab%2Ftree%2Fanswer.ipynb`);
  check(`${who} sees nothing of JupyterLab`, /jupyter/i.test(await page.content()), false);
  const status = (path, init) => page.evaluate(async ([url, init]) => (await fetch(url, init)).status, [`${origin}${path}`, init]);
  check(`${who} cannot read`, await status("/api/contents"), 401);
  check(`${who} cannot start a kernel`, await status("/api/kernels", { method: "POST" }), 401);
  const refused = new Promise((resolve) => page.once("websocket", (socket) => socket.on("socketerror", resolve)));
  await page.evaluate(
    (url) => new Promise((resolve) => Object.assign(new WebSocket(url), { onclose: resolve, onopen: resolve })),
    `ws://${host}/api/events/subscribe`,
  );
  check(`${who} cannot listen by websocket`, await refused, /401|no valid credentials/);
  await context.close();
}
