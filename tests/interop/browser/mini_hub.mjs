// The hub's own pages: the login, the question, and what a user holds.
//
//   node mini_hub.mjs HUB SERVICE USER PASSWORD PICTURES

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { check, checkAccessible, openBrowser, run, serveForeignPage } from "./helpers.mjs";

const [hub, service, user, password, pictures] = process.argv.slice(2);
mkdirSync(pictures, { recursive: true });

await run(async () => {
  const browser = await openBrowser(["elsewhere.example"]);
  await answer(browser);
  await lookAfterTokens(browser);
  await resistOthers(browser);
  await lookAround(browser);
});

async function logIn(page) {
  await page.fill("[name=username]", user);
  await page.fill("[name=password]", password);
  await Promise.all([page.waitForNavigation(), page.click("button")]);
}

/** From the service to the hub's login, the question, and back. */
async function answer(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(service);
  check("a stranger is led to the hub's login page", page.url(), /\/hub\/login\?next=/);
  await page.screenshot({ path: join(pictures, "login.png") });
  await page.fill("[name=username]", user);
  await page.fill("[name=password]", "wrong password");
  await Promise.all([page.waitForNavigation(), page.click("button")]);
  check("a wrong password is told", await page.textContent("[role=alert]"), "Invalid username or password");
  check("the name stays", await page.inputValue("[name=username]"), user);
  check("the title says that there is an error", await page.title(), "Error: Log in");
  check("the field is marked", await page.getAttribute("[name=password]", "aria-describedby"), "alert");
  await checkAccessible(page, "the login page after a wrong password");
  await logIn(page);
  check("then the hub asks", await page.textContent("h1"), "Authorize whoami?");
  await page.screenshot({ path: join(pictures, "question.png") });
  await checkAccessible(page, "the consent page");
  await Promise.all([page.waitForURL(service), page.click("button:text-is('Authorize')")]);
  check("and the service knows who is there", JSON.parse(await page.textContent("body")).name, user);

  const other = await context.newPage();
  await other.goto(`${hub}hub/home`);
  check("the hub's page tells of the service", await other.textContent("main"), /whoami/);
  await context.close();
}

async function lookAfterTokens(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(hub);
  await logIn(page);
  check("the login leads home", page.url(), `${hub}hub/home`);
  await checkAccessible(page, "the home page");
  await page.fill("[name=note]", "laptop <b>");
  await page.fill("[name=scopes]", "access:nothing");
  await page.selectOption("[name=expires_in]", "604800");
  await Promise.all([page.waitForNavigation(), page.click("text=Create token")]);
  check("a typing error is said at its field", await page.textContent("[name=scopes] + .error"), /access:nothing/);
  check("and what was typed stays", await page.inputValue("[name=note]"), "laptop <b>");
  check("the choice as well", await page.inputValue("[name=expires_in]"), "604800");
  check("the title says that there is an error", await page.title(), /^Error: /);
  await checkAccessible(page, "the form with an error");
  await page.fill("[name=scopes]", "");
  await Promise.all([page.waitForNavigation(), page.click("text=Create token")]);
  const token = await page.textContent("code");
  check("a token is shown once", token, /^pcl_[0-9A-Za-z]{49}$/);
  check("after a redirect", [page.url(), await page.textContent("[role=status]")], [`${hub}hub/home`, "Token created. Copy it now: you will not be able to see it again."]);
  await checkAccessible(page, "the page with a new token");
  await page.screenshot({ path: join(pictures, "token.png") });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.click("#copy");
  await page.locator("#copy", { hasText: "Copied" }).waitFor();
  check("a button copies it", await page.evaluate(() => navigator.clipboard.readText()), token);
  await page.click("code");
  check("a click selects it", await page.evaluate(() => getSelection().toString()), token);
  const who = (token) => fetch(`${hub}hub/api/user`, { headers: { Authorization: `token ${token}` } });
  check("it is the user's", (await (await who(token)).json()).name, user);
  const items = () => page.locator("section.item", { hasText: "laptop" });
  check("it is listed by its note, as text", await items().first().textContent(), /laptop <b>/);
  await page.reload();
  check("a reload creates no second one", await items().count(), 1);
  check("and the token is shown no more", (await page.content()).includes(token), false);
  await page.screenshot({ path: join(pictures, "home.png"), fullPage: true });
  await items().getByText("Revoke").first().click();
  check("a question comes first", (await who(token)).status, 200);
  await checkAccessible(page, "the question");
  await page.screenshot({ path: join(pictures, "question-before-revoking.png"), fullPage: true });
  await Promise.all([page.waitForNavigation(), items().locator("button").click()]);
  check("the button revokes it", (await who(token)).status, 403);
  check("and the page says so", await page.textContent("[role=status]"), "Token \u201claptop <b>\u201d revoked.");
  check("it is gone from the list", await items().count(), 0);
  await page.reload();
  check("after a reload the page says no more of it", await page.locator("[role=status]").count(), 0);

  const second = await (await browser.newContext()).newPage();
  await second.goto(hub);
  await logIn(second);
  await page.reload();
  const logins = page.locator("section.item", { hasText: "on Linux" });
  check("both logins are listed", (await logins.count()) >= 2, true);
  await page.click("summary:text('Log out everywhere')");
  await Promise.all([page.waitForNavigation(), page.click("button:text('Log out everywhere')")]);
  check("one is out here", page.url(), `${hub}hub/login`);
  await second.reload();
  check("and there", second.url(), /\/hub\/login\?next=/);
  check("and no cookie is left", (await context.cookies()).map(({ name }) => name), ["_xsrf"]);
  await context.close();
}

/** A page of somebody else posts to the hub, frames it, and links to its logout. */
async function resistOthers(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(hub);
  await logIn(page);
  const form = (action, fields) =>
    `<form method=post action="${action}">${fields.map(([n, v]) => `<input name="${n}" value="${v}">`).join("")}<button>go</button></form>`;
  for (const [what, html] of [
    ["make a token", form(`${hub}hub/home`, [["action", "make"], ["expires_in", ""]])],
    ["log out everywhere", form(`${hub}hub/logout`, [["everywhere", "1"]])],
    ["log in as somebody", form(`${hub}hub/login`, [["username", user], ["password", password]])],
  ]) {
    const port = await serveForeignPage(html);
    await page.goto(`http://elsewhere.example:${port}/`);
    const [answer] = await Promise.all([
      page.waitForResponse((answer) => answer.request().method() === "POST"),
      page.click("button"),
    ]);
    check(`another site cannot ${what}`, answer.status(), 403);
  }
  const port = await serveForeignPage(`<a href="${hub}hub/logout">win</a><iframe src="${hub}hub/home"></iframe>`);
  await page.goto(`http://elsewhere.example:${port}/`);
  await Promise.all([page.waitForNavigation(), page.click("a")]);
  check("a link to the logout is asked about", await page.textContent("h1"), "Log out?");
  await page.goto(`${hub}hub/home`);
  check("one is still logged in", await page.textContent("h1"), `Logged in as ${user}`);
  await context.close();
}

async function lookAround(browser) {
  for (const [name, width, colorScheme] of [["wide", 1200, "dark"], ["phone", 390, "light"], ["narrow", 320, "light"]]) {
    const context = await browser.newContext({ viewport: { width, height: 780 }, colorScheme });
    const page = await context.newPage();
    await page.goto(service);
    await fits(page, `${name} login`);
    await logIn(page);
    await fits(page, `${name} question`);
    await page.screenshot({ path: join(pictures, `question-${name}.png`), fullPage: true });
    await page.goto(`${hub}hub/home`);
    await fits(page, `${name} home`);
    await page.screenshot({ path: join(pictures, `home-${name}.png`), fullPage: true });
    await context.close();
  }
}

async function fits(page, name) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(`${name}: nothing sticks out`, over, 0);
}
