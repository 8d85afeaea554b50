// Two browsers of one user: one of them ends the session of the other.
//
//   node team_server.mjs URL PASSWORD
//
// URL is a team_server, without the slash at its end; PASSWORD is alice's.

import { check, checkAccessible, openBrowser, run } from "./helpers.mjs";

const [url, password] = process.argv.slice(2);

await run(async () => {
  const browser = await openBrowser();
  const [here, there] = [await logIn(browser), await logIn(browser)];

  await here.click("a[href='/sessions']");
  check("the page has a title", await here.title(), "Active sessions");
  await checkAccessible(here, "the sessions");
  const sessions = here.locator("section");
  check("there are two sessions", await sessions.count(), 2);
  check("one of them is this one", await sessions.filter({ hasText: "(this session)" }).count(), 1);
  const other = sessions.filter({ hasNotText: "(this session)" });
  check("the device has a name", await other.textContent(), /Chrom.* on Linux/);
  check("this session has no button", await sessions.locator("button").count(), 1);

  await Promise.all([here.waitForNavigation(), other.locator("button").click()]);
  check("the list is shown again", here.url(), `${url}/sessions?done=one`);
  check("and says what was done", await here.textContent("[role=status]"), "Session logged out.");
  await checkAccessible(here, "the sessions after one ended");
  check("one session is left", await sessions.allTextContents(), [await sessions.filter({ hasText: "(this session)" }).textContent()]);

  await there.click("a[href='/admin']");
  check("the other browser is at the login page", there.url(), `${url}/login?next=%2Fadmin&session=ended`);
  check("which says why", await there.textContent("[role=status]"), "Your session ended. Please log in again.");
  await checkAccessible(there, "the login page");
  check("and has no session cookie", await sessionCookies(there), 0);
  await here.goto(`${url}/admin`);
  check("this browser is still logged in", [await here.textContent("h1"), await sessionCookies(here)], ["Users", 1]);

  await sendPassword(there);
  check("a new login leads to where the click went", there.url(), `${url}/admin`);
});

/** A page of a browser of its own, logged in. */
async function logIn(browser) {
  const page = await (await browser.newContext()).newPage();
  await page.goto(url);
  await sendPassword(page);
  check("alice is greeted", await page.textContent("h1"), "Hello, alice");
  return page;
}

async function sendPassword(page) {
  await page.fill("[name=username]", "alice");
  await page.fill("[name=password]", password);
  await Promise.all([page.waitForNavigation(), page.click("button")]);
}

async function sessionCookies(page) {
  return (await page.context().cookies()).filter(({ name }) => name === "session").length;
}
