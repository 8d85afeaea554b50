// A launch link that something looked at in advance: the button on the page opens it.
//
//   node launch_preview.mjs LINK HOME DIRECTORY
//
// LINK is what notebook_server printed, HOME its base page. A screenshot goes to DIRECTORY.

import { join } from "node:path";
import { check, openBrowser, run } from "./helpers.mjs";

const [link, home, pictures] = process.argv.slice(2);

await run(async () => {
  const browser = await openBrowser();
  const context = await browser.newContext();
  const page = await context.newPage();
  const logins = async () => (await context.cookies()).filter(({ name }) => name.startsWith("username-")).length;

  await page.setExtraHTTPHeaders({ "Sec-Purpose": "prefetch" });
  for (const time of ["first", "second"]) {
    await page.goto(link);
    check(`a ${time} preview opens nothing`, [await page.textContent("h1"), await logins()], ["Open server", 0]);
  }
  await page.setExtraHTTPHeaders({});
  check("the page holds no token", /pcl1_/.test(await page.content()), false);
  await page.screenshot({ path: join(pictures, "confirm.png"), fullPage: true });
  await Promise.all([page.waitForURL(home), page.click("button")]);
  check("the button opens the link", [await page.textContent("h1"), await logins()], ["Logged in", 1]);
});
