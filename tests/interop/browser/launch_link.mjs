// Launch links in a real browser: each opens once, from wherever it is opened.
//
//   node launch_link.mjs LINK PAGE HOME
//
// LINK is what notebook_server printed, PAGE the file: URL that it opened a browser with, HOME its base page.

import { check, checkAccessible, openBrowser, run, serveForeignPage } from "./helpers.mjs";

const [link, file, home] = process.argv.slice(2);

await run(async () => {
  const browser = await openBrowser();
  await open(browser, "the link on another site's page", async (page) => {
    const port = await serveForeignPage(`<!doctype html><title>A chat</title><a href="${link}">Look at this</a>`);
    await page.goto(`http://localhost:${port}/`);
    await page.click("a");
  });
  await open(browser, "the page that was opened", (page) => page.goto(file));
  for (const [what, url] of [["the link", link], ["the page", file]]) await openAgain(browser, what, url);
});

/** Opened by somebody new, the link leads in, and is forgotten. */
async function open(browser, what, how) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await how(page);
  await page.waitForURL(home);
  check(`${what} leads in`, await page.textContent("h1"), "Logged in");
  check(`${what} leaves a login`, (await logins(context)).length, 1);
  check(`${what} leaves no referrer`, await page.evaluate(() => document.referrer), "");
  await page.reload();
  check(`${what} is a login that lasts`, page.url(), home);
  await context.close();
}

/** Opened by somebody else, the same leads nowhere. */
async function openAgain(browser, what, url) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForURL(`${home}launch?**`);
  check(`${what} opens once`, await page.textContent("h1"), "This link has expired");
  await checkAccessible(page, "the page of a used link");
  check(`${what} is no login after that`, await logins(context), []);
  await page.click("a");
  check(`${what} then leads to the login page`, page.url(), `${home}login`);
  await page.goto(home);
  check(`${what} keeps strangers out`, new URL(page.url()).pathname, /login$/);
  await context.close();
}

async function logins(context) {
  return (await context.cookies()).filter(({ name }) => name.startsWith("username-"));
}
