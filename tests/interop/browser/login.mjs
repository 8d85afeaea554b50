// The login form and the logout in a real browser, as people and password managers use them.
//
//   node login.mjs LOGIN PASSWORD TOKEN DIRECTORY
//
// LOGIN is the login page of a notebook_server that takes both. Screenshots go to DIRECTORY.

import { join } from "node:path";
import { check, checkAccessible, openBrowser, run } from "./helpers.mjs";

const [login, password, token, pictures] = process.argv.slice(2);
const home = login.replace(/login$/, "");
const { pathname: base } = new URL(home);
const deep = `${home}?dir=notes`;
const toLogin = (place) => `${login}?next=${encodeURIComponent(place)}`;

await run(async () => {
  const browser = await openBrowser();
  await logIn(browser);
  await sendToken(browser);
  await logOutInOneTab(browser);
  await bringBrokenCookie(browser);
  await lookAround(browser);
});

/** By password, on the way to a page; wrong first. */
async function logIn(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const requests = [];
  page.on("request", (request) => requests.push(request.url()));
  const answer = await page.goto(deep);
  check("who is not logged in is shown the login page", [answer.status(), page.url()], [200, toLogin(`${base}?dir=notes`)]);
  check("the page has a title", await page.title(), "Log in");
  await fitForPasswordManagers(page);
  await checkAccessible(page, "the login page");

  const wrong = await send(page, "not the password");
  check("a wrong password is refused", wrong.status(), 401);
  check("and the page says so, for screen readers as well", await page.textContent("[role=alert]"), /Incorrect password or token/);
  check("a wrong password is no login", await logins(context), []);
  check("the page does not repeat what was typed", (await page.content()).includes("not the password"), false);
  check("what is typed next goes into the field", await page.evaluate(() => document.activeElement.name), "password");
  check("a wrong password does not forget where to", page.url(), toLogin(`${base}?dir=notes`));
  await checkAccessible(page, "the login page after a wrong password");
  await page.screenshot({ path: join(pictures, "wrong.png"), fullPage: true });

  await page.fill("[name=password]", password);
  await Promise.all([page.waitForURL(deep), page.keyboard.press("Enter")]);
  check("the password and Enter lead to where the way went", await page.textContent("h2"), "Files in notes");
  check("there is one login", (await logins(context)).length, 1);
  check("no address holds the password", requests.some((url) => url.includes(password.split(" ")[0])), false);
  await page.goto(login);
  check("the login page sends on who is logged in", page.url(), home);
  await context.close();
}

async function fitForPasswordManagers(page) {
  const fields = await page.locator("input").evaluateAll((inputs) =>
    inputs.map(({ type, name, autocomplete }) => ({ type, name, autocomplete })),
  );
  check("the fields say what they are", fields, [
    { type: "hidden", name: "_xsrf", autocomplete: "" },
    { type: "password", name: "password", autocomplete: "current-password" },
  ]);
  check("the field has its label", await page.getByLabel("Password or token").count(), 1);
  check("typing begins in the field", await page.evaluate(() => document.activeElement.name), "password");
}

/** The token, pasted with blanks, into the same field. */
async function sendToken(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(login);
  await send(page, ` ${token} `);
  check("the token leads in as well", page.url(), home);
  check("and is not kept", (await context.cookies()).some(({ value }) => value.includes(token)), false);
  await context.close();
}

/** Two tabs, one login. */
async function logOutInOneTab(browser) {
  const context = await browser.newContext();
  const [one, other] = [await context.newPage(), await context.newPage()];
  await one.goto(login);
  await send(one, password);
  await other.goto(home);
  check("the other tab is in as well", other.url(), home);
  const held = (await context.cookies()).filter(({ name }) => name.startsWith("username-"));

  const [bye] = await Promise.all([one.waitForResponse(`${home}logout`), one.click("#logout")]);
  await one.waitForURL(`${home}logout`);
  check("the link logs out", [bye.status(), await one.textContent("h1")], [200, "You are logged out"]);
  check("the login is gone", await logins(context), []);
  await checkAccessible(one, "the page after the logout");
  await one.screenshot({ path: join(pictures, "out.png"), fullPage: true });

  await other.reload();
  check("the other tab is asked to log in on its next way", other.url(), toLogin(base));
  await one.goBack();
  check("going back shows nothing of before", one.url(), toLogin(base));
  await one.goto(`${home}logout`);
  await one.click("a");
  await send(one, password);
  check("one can log in again", one.url(), home);
  check("by another cookie", (await logins(context))[0] !== held[0].value, true);

  await one.goto(`${home}logout`, { referer: "https://elsewhere.example/" });
  check("a logout that another site caused is asked about", await one.textContent("h1"), "Log out?");
  await checkAccessible(one, "the question before a logout");
  check("and nobody is logged out by it", (await logins(context)).length, 1);
  await Promise.all([one.waitForNavigation(), one.click("button")]);
  check("its button logs out", [await one.textContent("h1"), await logins(context)], ["You are logged out", []]);
  await context.close();
}

/** A cookie that was cut, by whatever. */
async function bringBrokenCookie(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(login);
  await send(page, password);
  const cookie = (await context.cookies()).find(({ name }) => name.startsWith("username-"));
  for (const value of [cookie.value.slice(0, -9), "garbage", `${cookie.value}x`]) {
    await context.addCookies([{ ...cookie, value }]);
    const answer = await page.goto(home);
    let redirects = 0;
    for (let request = answer.request().redirectedFrom(); request; request = request.redirectedFrom()) redirects++;
    check("a broken cookie leads to the login page", [answer.status(), page.url()], [200, toLogin(base)]);
    check("within two redirects", redirects <= 2, true);
    check("and is taken away", await logins(context), []);
    await send(page, password);
    check("the next login holds", page.url(), home);
  }
  await context.close();
}

/** Light, dark, on a phone, and with large letters: pictures, and nothing that sticks out. */
async function lookAround(browser) {
  for (const [name, width, colorScheme] of [
    ["light", 1200, "light"],
    ["dark", 1200, "dark"],
    ["phone", 390, "light"],
    ["phone-dark", 390, "dark"],
    ["narrow", 320, "light"],
  ]) {
    const context = await browser.newContext({ viewport: { width, height: 780 }, colorScheme });
    const page = await context.newPage();
    await page.goto(deep);
    await fits(page, `${name} login`);
    check(`${name}: the style is obeyed`, await page.evaluate(() => getComputedStyle(document.body).display), "grid");
    const [paper, ink] = await page.evaluate(() => {
      const brightness = (color) => color.match(/[\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
      const { backgroundColor, color } = getComputedStyle(document.body);
      return [brightness(backgroundColor), brightness(color)];
    });
    check(`${name}: the colours are ${colorScheme}`, paper < ink, colorScheme === "dark");
    await page.screenshot({ path: join(pictures, `login-${name}.png`) });
    await send(page, password);
    await fits(page, `${name} home`);
    await page.screenshot({ path: join(pictures, `home-${name}.png`) });
    await context.close();
  }
}

async function fits(page, name) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(`${name}: nothing sticks out`, over, 0);
}

/** Types into the form of `page` and sends it. */
async function send(page, typed) {
  await page.fill("[name=password]", typed);
  const [answer] = await Promise.all([
    page.waitForResponse((answer) => answer.request().method() === "POST"),
    page.waitForNavigation(),
    page.click("button"),
  ]);
  await page.waitForLoadState();
  return answer;
}

/** The values of the login cookies. */
async function logins(context) {
  return (await context.cookies()).filter(({ name }) => name.startsWith("username-")).map(({ value }) => value);
}
