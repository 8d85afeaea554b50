// The password changed by its form in a real browser, with another tab and another browser logged in.
//
//   node change_password.mjs LOGIN PASSWORD NEW DIRECTORY
//
// LOGIN is the login page of a notebook_server whose password is PASSWORD and becomes NEW. Screenshots go to DIRECTORY.

import { join } from "node:path";
import { check, checkAccessible, openBrowser, run } from "./helpers.mjs";

const [login, password, next, pictures] = process.argv.slice(2);
const home = login.replace(/login$/, "");
const { pathname: base } = new URL(home);

await run(async () => {
  const browser = await openBrowser();
  const [mine, elsewhere] = [await browser.newContext(), await browser.newContext()];
  const [page, tab, other] = [await mine.newPage(), await mine.newPage(), await elsewhere.newPage()];
  for (const one of [page, other]) {
    await one.goto(login);
    await send(one, { password });
    check("the password leads in", one.url(), home);
  }
  await tab.goto(home);
  const sockets = [await socket(tab), await socket(other)];

  await page.click("#change");
  check("a logged-in person finds the form", await page.textContent("h1"), "Change password");
  check(
    "its fields say what they are",
    await page.locator("input[type=password]").evaluateAll((inputs) => inputs.map(({ name, autocomplete }) => [name, autocomplete])),
    [
      ["password", "current-password"],
      ["new_password", "new-password"],
      ["new_password_again", "new-password"],
    ],
  );
  await page.screenshot({ path: join(pictures, "change.png"), fullPage: true });
  for (const [why, fields, status, says] of [
    ["the old one is wrong", { password: "wrong", new_password: next, new_password_again: next }, 401, /Incorrect password/],
    ["the new one is too short", { password, new_password: "short", new_password_again: "short" }, 400, /at least 8 characters/],
    ["the new ones differ", { password, new_password: next, new_password_again: `${next}!` }, 400, /do not match/],
  ]) {
    const answer = await send(page, fields);
    check(`refused, as ${why}`, [answer.status(), await page.textContent("h1")], [status, "Change password"]);
    check("and the page says so", await page.textContent("[role=alert]"), says);
    await checkAccessible(page, "the form after an error");
  }
  await tab.reload();
  check("nothing has changed for others", tab.url(), home);
  sockets[0] = await socket(tab);

  await send(page, { password, new_password: next, new_password_again: next });
  check("who changes it stays in", [page.url(), await page.textContent("h1")], [home, "Logged in"]);
  check("the open socket of another tab is closed", await closed(tab), 1008);
  check("and that of another browser", await closed(other), 1008);
  await other.reload();
  check("the other browser is logged out", other.url(), `${login}?next=${encodeURIComponent(base)}`);
  check("and its cookie is gone", await logins(elsewhere), 0);
  await tab.reload();
  check("the other tab goes on by the fresh cookie", tab.url(), home);

  check("the old password is none any more", (await send(other, { password })).status(), 401);
  await send(other, { password: next });
  check("the new one leads in", other.url(), home);
  await tab.click("#logout");
  await page.reload();
  check("after a logout in one tab the other is asked to log in", page.url(), `${login}?next=${encodeURIComponent(base)}`);
  await page.click("text=Change password");
  check("the form is offered there as well", await page.locator("[name=new_password]").count(), 1);
  await page.click("text=Log in");
  await send(page, { password: next });
  check("and leads in", page.url(), home);
});

async function send(page, fields) {
  for (const [name, value] of Object.entries(fields)) await page.fill(`[name=${name}]`, value);
  const [response] = await Promise.all([
    page.waitForResponse((response) => response.request().method() === "POST"),
    page.click("button"),
  ]);
  await page.waitForLoadState();
  return response;
}

async function logins(context) {
  return (await context.cookies()).filter(({ name }) => name.startsWith("username-")).length;
}

/** Opens a websocket in the page, and has it answer once. */
async function socket(page) {
  await page.evaluate(
    (url) =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(url);
        window.socketEnded = new Promise((close) => socket.addEventListener("close", ({ code }) => close(code)));
        socket.onopen = () => socket.send("hello");
        socket.onmessage = resolve;
        socket.onerror = () => reject(new Error("no socket"));
      }).then(() => undefined),
    `${home.replace(/^http/, "ws")}api/events/subscribe`,
  );
}

/** The code by which the page's websocket is closed. */
function closed(page) {
  return page.evaluate(() => Promise.race([window.socketEnded, new Promise((late) => setTimeout(late, 5000, "still open"))]));
}
