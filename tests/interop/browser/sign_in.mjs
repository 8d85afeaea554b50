// A login at an OpenID provider in a real browser, and the logout at both.
//
//   node sign_in.mjs APPLICATION
//
// APPLICATION is the base URL of the example `sign_in`, whose provider is npm's oidc-provider.

import { check, checkAccessible, openBrowser, run } from "./helpers.mjs";

const [application] = process.argv.slice(2);
const deep = `${application}?page=7`;

await run(async () => {
  const browser = await openBrowser();
  await logIn(browser);
  await cancel(browser);
});

/** Opens the page, logs in at the provider with a name and a password, and consents. */
async function logIn(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(deep);
  check("the login page keeps the page that was requested", new URL(page.url()).searchParams.get("next"), "/?page=7");
  check("there is no form, only the button", await page.locator("form").count(), 0);
  await checkAccessible(page, "the login page with a provider");
  await page.click("text=Log in with Test provider");
  await page.fill("[name=login]", "alice");
  await page.fill("[name=password]", "any");
  await page.click("button[type=submit]");
  await Promise.all([page.waitForURL(deep), page.click("button[type=submit]")]);
  check("the user comes back to the page", await page.textContent("body"), /Hello, alice of the provider \(alice\)!/);
  const cookies = await context.cookies(application);
  const states = cookies.filter(({ name }) => name.includes("oauth-state"));
  check("the state of the login is removed", states, []);
}

/** Opens the page, and cancels at the provider. */
async function cancel(browser) {
  const page = await (await browser.newContext()).newPage();
  await page.goto(application);
  await page.click("text=Log in with Test provider");
  await page.click("text=Cancel");
  check("the page says that the login was cancelled", await page.textContent("body"), /You cancelled the login/);
  await checkAccessible(page, "the page of a login that was cancelled");
  await page.click("text=Try again");
  check("there is a way back to the login page", new URL(page.url()).pathname, "/login");
}
